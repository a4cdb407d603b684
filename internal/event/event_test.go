package event_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/event"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

const account = 1000000000000001

// rig is a service over a real store, with a receiver and a clock.
type rig struct {
	*testing.T
	db       *store.DB
	service  *event.Service
	receiver *httptest.Server
	registry int64
	jobs     []string

	mu     sync.Mutex
	now    time.Time
	status int
	got    []got
}

type got struct{ id, stamp, signature, body, path string }

func newRig(t *testing.T, dbURL string) *rig {
	t.Helper()
	r := &rig{T: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), status: http.StatusNoContent}
	r.receiver = httptest.NewServer(r)
	t.Cleanup(r.receiver.Close)
	r.db = storetest.Open(t, dbURL, store.Options{Now: r.clock})
	r.service = event.New(event.Config{
		DB: r.db, Now: r.clock, Log: slog.New(slog.DiscardHandler), StaleAfter: 24 * time.Hour,
		AddJob:       func(_ context.Context, _ *store.Tx, id string) error { r.jobs = append(r.jobs, id); return nil },
		Seal:         func(id string, secret []byte) []byte { return append([]byte(id), secret...) },
		Unseal:       func(id string, sealed []byte) ([]byte, error) { return sealed[len(id):], nil },
		CheckAddress: func(string) error { return nil },
		Client:       func(*url.URL) (*http.Client, error) { return &http.Client{Transport: &http.Transport{}}, nil },
	})
	err := r.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.AddAccount(t.Context(), account, "test"); err != nil {
			return err
		}
		var err error
		r.registry, err = tx.AddRegistry(t.Context(), &portolan.Registry{
			AccountID: account, Type: portolan.OCI, Name: "lab", DomainName: "lab.example", Port: 443, Protocol: 2, NetType: 1,
			RegionID: "cn-hangzhou", Version: "V2", TransPerHour: 30, PersistenceDay: 30, InstanceID: store.NewInstanceID(),
		}, nil)
		return err
	})
	r.must(err)
	return r
}

func (r *rig) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, got{req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp"), req.Header.Get("webhook-signature"), string(body), req.URL.Path})
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(r.status)
	_, _ = w.Write(bytes.Repeat([]byte("what the receiver says "), 10_000))
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func (r *rig) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) add(events ...string) *store.EventWebhook {
	r.Helper()
	h := &store.EventWebhook{AccountID: account, URL: r.receiver.URL + "/secret-path", Events: events}
	secret, err := r.service.Add(r.Context(), h)
	r.must(err)
	if !strings.HasPrefix(secret, "whsec_") {
		r.Errorf("secret %q", secret)
	}
	return h
}

func (r *rig) state(id string) store.EventWebhook {
	r.Helper()
	h, err := r.db.EventWebhook(r.Context(), account, id)
	r.must(err)
	return h
}

// deliver makes an attempt.
func (r *rig) deliver(id string) (wait time.Duration, more bool) {
	r.Helper()
	wait, more, err := r.service.Deliver(r.Context(), id)
	r.must(err)
	return wait, more
}

// late lets a registry be late, and answers the messages that are sent off.
func (r *rig) late() []string {
	r.Helper()
	r.pass(25 * time.Hour)
	r.must(r.service.Watch(r.Context()))
	r.must(r.service.Dispatch(r.Context()))
	jobs := r.jobs
	r.jobs = nil
	return jobs
}

func TestLateOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		h := r.add(store.EventReadingStale)
		other := r.add(store.EventImageAdded)
		jobs := r.late()
		if len(jobs) != 1 {
			t.Fatalf("messages %v, want one", jobs)
		}
		if more := r.late(); len(more) > 0 {
			t.Errorf("it is told again: %v", more)
		}
		if _, more := r.deliver(jobs[0]); more {
			t.Error("it arrived and is tried again")
		}
		if len(r.got) != 1 || !strings.Contains(r.got[0].body, `"type":"reading.stale"`) || !strings.Contains(r.got[0].body, `"RegistryName":"lab"`) ||
			!strings.Contains(r.got[0].body, `"data":{"Hours":24}`) || r.got[0].id != jobs[0] {
			t.Errorf("received %+v", r.got)
		}
		if s := r.state(h.ID); s.Queued != 0 || s.LastOutcome != "taken with status 204" || s.LastEvent != store.EventReadingStale {
			t.Errorf("state %+v", s)
		}
		if s := r.state(other.ID); !s.LastAt.IsZero() {
			t.Errorf("who did not ask: %+v", s)
		}
		if _, more := r.deliver(jobs[0]); more || len(r.got) != 1 {
			t.Error("a job that runs twice sends twice")
		}
	})
}

// A message is tried for hours, always the same and signed anew, and then given
// up; the next that arrives clears that.
func TestRetries(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		h := r.add(store.EventReadingStale)
		id := r.late()[0]
		r.answer(http.StatusInternalServerError)
		var sum time.Duration
		for {
			wait, more := r.deliver(id)
			if !more {
				break
			}
			if s := r.state(h.ID); !s.Failing.IsZero() || s.Queued != 1 || s.LastOutcome != "refused with status 500" {
				t.Errorf("while it is tried: %+v", s)
			}
			if wait < time.Second {
				t.Fatalf("waits %s", wait)
			}
			sum += wait
			r.pass(wait)
		}
		if sum < 4*time.Hour || sum > 12*time.Hour {
			t.Errorf("it is tried for %s", sum)
		}
		if s := r.state(h.ID); s.Failing.IsZero() || s.Queued != 0 {
			t.Errorf("given up: %+v", s)
		}
		first, last := r.got[0], r.got[len(r.got)-1]
		if first.id != last.id || first.body != last.body || first.stamp == last.stamp || first.signature == last.signature {
			t.Errorf("first %+v, last %+v", first, last)
		}
		r.answer(http.StatusOK)
		if got, err := r.service.Test(t.Context(), account, h.ID); err != nil || !got.Success {
			t.Errorf("test: %+v, %v", got, err)
		}
		if s := r.state(h.ID); !s.Failing.IsZero() {
			t.Errorf("it arrives again: %+v", s)
		}
	})
}

// A webhook of an older version has its URL in clear, until it is called.
func TestOlderWebhook(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		r := newRig(t, database)
		h := r.add(store.EventImageGone)
		made := r.state(h.ID)
		if made.URL != r.receiver.URL+"/******" {
			t.Errorf("in the store: %s", made.URL)
		}
		const keySize = 32
		r.must(r.db.SealEventWebhook(t.Context(), h.ID, r.receiver.URL+"/secret-path", made.Secret[:len(h.ID)+keySize]))
		for range 2 {
			if got, err := r.service.Test(t.Context(), account, h.ID); err != nil || !got.Success {
				t.Errorf("test: %+v, %v", got, err)
			}
			if now := r.state(h.ID); now.URL != made.URL || !bytes.Equal(now.Secret, made.Secret) {
				t.Errorf("after a call: %s, %q; before %q", now.URL, now.Secret, made.Secret)
			}
		}
		if first := r.got[0]; first.path != "/secret-path" {
			t.Errorf("called %s", first.path)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	h := r.add(store.EventReadingStale)
	id := r.late()[0]
	for status, want := range map[int]string{
		http.StatusFound:    "status 302: redirects are not followed; give the URL where it ends",
		http.StatusNotFound: "refused with status 404",
	} {
		r.answer(status)
		before := len(r.got)
		got, err := r.service.Test(t.Context(), account, h.ID)
		r.must(err)
		if got.Success || got.Status != status || got.Message != want || len(r.got) != before+1 {
			t.Errorf("%d: %+v after %d requests", status, got, len(r.got)-before)
		}
	}
	r.answer(http.StatusGone)
	if _, more := r.deliver(id); more {
		t.Error("who is gone is tried again")
	}
	r.receiver.Close()
	got, err := r.service.Test(t.Context(), account, h.ID)
	r.must(err)
	if got.Success || got.Status != 0 || strings.Contains(got.Message, "secret-path") || got.Message == "" {
		t.Errorf("nobody answers: %+v", got)
	}
	if _, err := r.service.Test(t.Context(), account+1, h.ID); !errors.Is(err, event.ErrNotExist) {
		t.Errorf("of another account: %v", err)
	}
	if err := r.service.Delete(t.Context(), account+1, h.ID); !errors.Is(err, event.ErrNotExist) {
		t.Errorf("delete of another account: %v", err)
	}
}

// A queue is bounded; what finds no place is counted.
func TestQueue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		h := r.add(store.EventImageAdded)
		entry, err := r.db.Registry(t.Context(), account, r.registry)
		r.must(err)
		for range store.MaxQueuedEvents + 2 {
			r.must(r.db.Update(t.Context(), func(tx *store.Tx) error {
				return tx.NoteChanges(t.Context(), entry, []store.ImageChange{{Kind: store.ChangeAdded, Path: "team/app", Digest: "sha256:aa", UUID: "u", After: []string{"v1"}}})
			}))
		}
		if s := r.state(h.ID); s.Queued != store.MaxQueuedEvents || s.Dropped != 2 {
			t.Errorf("%d queued, %d dropped", s.Queued, s.Dropped)
		}
		r.must(r.service.Dispatch(t.Context()))
		r.must(r.service.Dispatch(t.Context()))
		if len(r.jobs) != store.MaxQueuedEvents {
			t.Errorf("%d jobs", len(r.jobs))
		}
		if _, more := r.deliver(r.jobs[0]); more || !strings.Contains(r.got[0].body, `"data":{"SyncId":`) || !strings.Contains(r.got[0].body,
			`"TotalCount":1,"Changes":[{"Kind":"added","RepoNamespace":"team","RepoName":"app","Digest":"aa","Uuid":"u","Tags":["v1"]}]}`) {
			t.Errorf("received %+v", r.got)
		}
		r.must(r.service.Delete(t.Context(), account, h.ID))
		if _, more := r.deliver(r.jobs[1]); more || len(r.got) != 1 {
			t.Error("a message to who is deleted is sent")
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	for range store.MaxEventWebhooks {
		r.add(store.EventImageGone)
	}
	_, err := r.service.Add(t.Context(), &store.EventWebhook{AccountID: account, URL: r.receiver.URL, Events: []string{store.EventImageGone}})
	if !errors.Is(err, store.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	for name, h := range map[string]store.EventWebhook{
		"no host":  {URL: "https:///x", Events: store.Events()},
		"scheme":   {URL: "file:///etc/passwd", Events: store.Events()},
		"user":     {URL: "https://a:b@example.com/", Events: store.Events()},
		"fragment": {URL: "https://example.com/#a", Events: store.Events()},
		"long":     {URL: "https://example.com/" + strings.Repeat("a", 3000), Events: store.Events()},
		"event":    {URL: "https://example.com/", Events: []string{"image.eaten"}},
		"none":     {URL: "https://example.com/"},
	} {
		if _, err := r.service.Add(t.Context(), &h); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What receivers know their callers by shows in no list.
func TestShownURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://chat.example.com":                        "https://chat.example.com",
		"https://chat.example.com/":                       "https://chat.example.com",
		"https://chat.example.com/hook":                   "https://chat.example.com/******",
		"https://chat.example.com:8443/services/T0/B0/x1": "https://chat.example.com:8443/services/T0/B0/******",
		"https://chat.example.com/catch/12/ab/":           "https://chat.example.com/catch/12/******",
		"https://chat.example.com/hook/a%2Fb?token=x1":    "https://chat.example.com/hook/******?******",
		"https://chat.example.com?token=x1":               "https://chat.example.com?******",
		"https://[2001:db8::1]/a":                         "https://[2001:db8::1]/******",
		"%":                                               "******",
	} {
		if got := event.ShownURL(url); got != want {
			t.Errorf("%s is shown as %s, want %s", url, got, want)
		}
	}
}
