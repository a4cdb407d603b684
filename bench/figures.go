package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// figure is a line of the report: what was measured, and what is wanted of it.
type figure struct {
	what  string
	value string
	note  string // spread, CPU time and the like
	want  string
	met   bool
}

// section is a table of the report.
type section struct {
	out         io.Writer
	title, text string
	figures     []figure
	after       string
}

func (s *section) add(f figure) {
	s.figures = append(s.figures, f)
	mark := "ok"
	if f.want != "" && !f.met {
		mark = "MISSED"
	}
	_, _ = fmt.Fprintf(s.out, "%-62s %-22s want %-10s %-6s %s\n", f.what, f.value, f.want, mark, f.note)
}

func (s *section) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n", s.title, strings.TrimSpace(s.text))
	if len(s.figures) > 0 {
		b.WriteString("| measured | value | target | | beside it |\n|---|---|---|---|---|\n")
	}
	for _, f := range s.figures {
		mark := "met"
		switch {
		case f.want == "":
			mark = ""
		case !f.met:
			mark = "**missed**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", f.what, f.value, f.want, mark, f.note)
	}
	b.WriteString("\n" + s.after)
}

// ratios are the quotients of pairs of runs that were made in turn.
type ratios []float64

func (r ratios) median() float64 {
	s := slices.Sorted(slices.Values(r))
	if len(s) == 0 {
		return math.NaN()
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func (r ratios) String() string {
	return fmt.Sprintf("%.2f (%.2f to %.2f)", r.median(), slices.Min(r), slices.Max(r))
}

func middle(list []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

func micros(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d.Nanoseconds())/1e3) }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1e3) }
