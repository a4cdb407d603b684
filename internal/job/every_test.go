package job_test

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"portolan/internal/job"
)

func TestEvery(t *testing.T) {
	const s = time.Second
	for name, test := range map[string]struct {
		first, every, takes time.Duration
		want                []time.Duration // when it runs, within a minute
	}{
		"at once":                {0, 20 * s, 0, []time.Duration{0, 20 * s, 40 * s}},
		"after a while":          {5 * s, 25 * s, 0, []time.Duration{5 * s, 30 * s, 55 * s}},
		"longer than its time":   {2 * s, 10 * s, 25 * s, []time.Duration{2 * s, 27 * s, 52 * s}},
		"a part of its time":     {2 * s, 20 * s, 15 * s, []time.Duration{2 * s, 22 * s, 42 * s}},
		"not before it is ended": {2 * time.Minute, s, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute-1)
				defer cancel()
				var ran []time.Duration
				job.Every(ctx, test.first, test.every, slog.New(slog.DiscardHandler), "a task", func(context.Context) error {
					ran = append(ran, time.Since(started))
					time.Sleep(test.takes) //nolint:forbidigo // in the bubble's time
					return errors.New("that fails runs again")
				})
				if !reflect.DeepEqual(ran, test.want) {
					t.Errorf("ran after %v, want %v", ran, test.want)
				}
			})
		})
	}
}
