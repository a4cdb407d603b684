package registry

import (
	"encoding/json"
	"maps"
	"slices"

	"portolan"
)

const maxPerMinute = 60_000

// perMinute is a number of requests a minute; an empty text is 0.
type perMinute int

func (n *perMinute) UnmarshalJSON(b []byte) error {
	if string(b) == `""` {
		*n = 0
		return nil
	}
	return json.Unmarshal(b, (*int)(n))
}

// applyManners writes how a registry wants to be read: what is left out, how
// often it may be asked, and when.
func applyManners(e *portolan.Extra, x extra) error {
	if x.excludes != nil {
		if len(*x.excludes) > portolan.MaxExcludes {
			return portolan.Invalid(extraParam, "has more than %d excludeRepositories", portolan.MaxExcludes)
		}
		seen := map[string]bool{}
		for _, pattern := range *x.excludes {
			if err := portolan.ParseExclude(extraParam, pattern); err != nil {
				return err
			}
			seen[pattern] = true
		}
		e.Excludes = slices.Sorted(maps.Keys(seen))
	}
	if x.perMinute != nil {
		if *x.perMinute < 0 || *x.perMinute > maxPerMinute {
			return portolan.Invalid(extraParam, "has a requestsPerMinute that is not an integer from 1 to %d, or 0 for any number", maxPerMinute)
		}
		e.RequestsPerMinute = int(*x.perMinute)
	}
	if x.window == nil {
		return nil
	}
	if *x.window != "" {
		if _, err := portolan.ParseWindow(extraParam, *x.window); err != nil {
			return err
		}
	}
	e.SyncWindow = *x.window
	return nil
}
