package portolan_test

import (
	"testing"
	"time"

	"portolan"
)

func TestParseWindow(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"22:00-06:00": true, "00:00-23:59": true, "09:05-09:06": true,
		"": false, "9:00-10:00": false, "22:00": false, "24:00-06:00": false, "22:60-06:00": false, "22:00-22:00": false,
		"22:00-06:00 ": false, "22.00-06.00": false, "-1:00-02:00": false, "+1:00-02:00": false, "22:00 06:00": false, "22:00-06:0x": false, " 1:00-02:00": false,
	} {
		w, err := portolan.ParseWindow("ExtraParam", text)
		if (err == nil) != ok || ok && w.String() != text {
			t.Errorf("%q: %v, %v", text, w, err)
		}
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("CET", 3600)
	at := func(s string) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for name, c := range map[string]struct {
		window, now string
		open        bool
		next        string
	}{
		"before":         {"01:00-05:00", "2026-01-02 00:59", false, "2026-01-02 01:00"},
		"start":          {"01:00-05:00", "2026-01-02 01:00", true, "2026-01-03 01:00"},
		"last minute":    {"01:00-05:00", "2026-01-02 04:59", true, "2026-01-03 01:00"},
		"end":            {"01:00-05:00", "2026-01-02 05:00", false, "2026-01-03 01:00"},
		"over midnight":  {"22:00-06:00", "2026-01-02 23:30", true, "2026-01-03 22:00"},
		"after midnight": {"22:00-06:00", "2026-01-02 05:59", true, "2026-01-02 22:00"},
		"by day":         {"22:00-06:00", "2026-01-02 06:00", false, "2026-01-02 22:00"},
	} {
		w, err := portolan.ParseWindow("", c.window)
		if err != nil {
			t.Fatal(err)
		}
		if now := at(c.now); w.Open(now) != c.open || !w.Next(now).Equal(at(c.next)) {
			t.Errorf("%s: open %v, next %s", name, w.Open(now), w.Next(now))
		}
	}
	w, _ := portolan.ParseWindow("", "22:00-06:00")
	if w.Length() != 8*time.Hour {
		t.Errorf("%s is %s long", w, w.Length())
	}
}

func FuzzParseWindow(f *testing.F) {
	f.Add("22:00-06:00")
	f.Add("2:00-6:00")
	f.Fuzz(func(t *testing.T, s string) {
		w, err := portolan.ParseWindow("", s)
		if err == nil && (w.String() != s || w.Length() <= 0 || w.Length() >= 24*time.Hour) {
			t.Errorf("%q is %v", s, w)
		}
	})
}
