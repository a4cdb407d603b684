package cli

import (
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/pflag"

	"portolan"
)

// addZone adds the flag for the zone of the server's times.
func addZone(fs *pflag.FlagSet, zone *string) {
	fs.StringVar(zone, "time-zone", "", "time zone of the server's answers: must be the one that serve --time-zone says (default $PORTOLAN_TIME_ZONE or UTC)")
}

// serverZone is the zone in which the server writes times.
func (s *shell) serverZone(name string) (*time.Location, error) {
	if name == "" {
		name = s.env(envPrefix + "TIME_ZONE")
	}
	zone, err := time.LoadLocation(name) // UTC for ""
	if err != nil {
		return nil, usagef("--time-zone: there is no time zone %q; use a name such as UTC or Asia/Shanghai", name)
	}
	return zone, nil
}

// window is the time within which registries should have been read.
type window struct {
	now   time.Time
	stale time.Duration
	zone  *time.Location
	// ahead says that a reading ended in the future, "" if none did: zones or
	// clocks differ, and what is stale cannot be told.
	ahead string
}

// needing keeps the registries that fail, or that no reading of ended within
// the window.
func (w *window) needing(rows iter.Seq2[json.RawMessage, error]) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for raw, err := range rows {
			if err == nil && w.well(raw) {
				continue
			}
			if !yield(raw, err) {
				return
			}
		}
	}
}

func (w *window) well(raw json.RawMessage) bool {
	var r row
	if err := json.Unmarshal(raw, &r); err != nil {
		return false
	}
	last := r.LastSyncTime
	if last == "" {
		last = r.GmtCreate // one that was just added has time for its first reading
	}
	at, err := time.ParseInLocation(time.DateTime, last, w.zone)
	if err == nil && at.After(w.now.Add(time.Minute)) && w.ahead == "" {
		w.ahead = fmt.Sprintf("the time of registry %d, %s in %s, lies in the future", r.ID, last, w.zone)
	}
	if r.SyncErrorCode != "" || r.Type == string(portolan.CICD) || r.Paused {
		return r.SyncErrorCode == "" // builds report when they run, and nobody reads what is paused
	}
	return err == nil && at.After(w.now.Add(-w.stale))
}
