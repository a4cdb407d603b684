package portolan

import (
	"fmt"
	"time"
)

// Window is the part of each day in which a registry may be read by schedule,
// in minutes after midnight. One that ends before it starts goes past midnight.
type Window struct{ From, To int }

const minutesOfDay = 24 * 60

// ParseWindow reads "HH:MM-HH:MM".
func ParseWindow(param, s string) (Window, error) {
	const shape = "00:00-00:00"
	var h1, m1, h2, m2 int
	n, err := fmt.Sscanf(s, "%2d:%2d-%2d:%2d", &h1, &m1, &h2, &m2)
	w := Window{From: h1*60 + m1, To: h2*60 + m2}
	if err != nil || n != 4 || len(s) != len(shape) || h1 < 0 || h2 < 0 || m1 < 0 || m2 < 0 || h1 > 23 || h2 > 23 || m1 > 59 || m2 > 59 || w.String() != s {
		return Window{}, Invalid(param, "has a syncWindow that is not two times of day such as 22:00-06:00")
	}
	if w.From == w.To {
		return Window{}, Invalid(param, "has a syncWindow that starts when it ends; leave it empty to read at any time")
	}
	return w, nil
}

func (w Window) String() string {
	return fmt.Sprintf("%02d:%02d-%02d:%02d", w.From/60, w.From%60, w.To/60, w.To%60)
}

// Length is how long the window is open each day.
func (w Window) Length() time.Duration {
	return time.Duration((w.To-w.From+minutesOfDay)%minutesOfDay) * time.Minute
}

// Open reports whether the window is open at a time, whose location is the one
// that the window's times are in.
func (w Window) Open(t time.Time) bool {
	now := t.Hour()*60 + t.Minute()
	if w.From < w.To {
		return w.From <= now && now < w.To
	}
	return now >= w.From || now < w.To
}

// Next is when the window opens for the first time after t.
func (w Window) Next(t time.Time) time.Time {
	for day := range 3 { // where clocks are put forward, a day may lack the hour
		opens := time.Date(t.Year(), t.Month(), t.Day()+day, w.From/60, w.From%60, 0, 0, t.Location())
		if opens.After(t) {
			return opens
		}
	}
	return t.Add(24 * time.Hour)
}

// Window is the registry's window, false if it may be read at any time.
func (e *Extra) Window() (Window, bool) {
	if e.SyncWindow == "" {
		return Window{}, false
	}
	w, err := ParseWindow("", e.SyncWindow)
	return w, err == nil
}
