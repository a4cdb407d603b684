package acr_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/acr/acrtest"
	"portolan/internal/connector/connectortest"
)

// isTags reports whether a request is for a page of tags.
func isTags(r *http.Request) bool {
	action := r.Header.Get("X-Acs-Action")
	return action == "ListRepoTag" || action == "GetRepoTags"
}

// long has one repository with so many tags of one image.
func long(instance string, n int) acrtest.Model {
	m := model(instance, nil)
	image := pushed(&m, connectortest.NewImage("one"), "")
	r := acrtest.Repository{Path: "team/long", Tags: make([]acrtest.Tag, n)}
	for i := range r.Tags {
		r.Tags[i] = image
		r.Tags[i].Name = fmt.Sprintf("v%06d", i)
	}
	m.Repositories = append(m.Repositories, r)
	return m
}

// A tag is deleted while the list is read, and another pushed, so that the
// total does not tell. Whatever the order of the list, no tag that was there
// all the time is missing, or the reading fails.
func TestMovingWithTheSameTotal(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		for order, newest := range map[string]bool{"oldest first": false, "newest first": true} {
			for number := 1; number <= 3; number++ {
				t.Run(fmt.Sprint(edition, ", ", order, ", page ", number), func(t *testing.T) {
					t.Parallel()
					m := long(instance, 250)
					m.NewestFirst = newest
					fake := acrtest.New(m)
					asked := 0
					fake.Before(func(_ int, r *http.Request) {
						if !isTags(r) {
							return
						}
						if asked++; asked != number {
							return
						}
						fake.Update(func(m *acrtest.Model) {
							tags := m.Repositories[0].Tags
							pushed := tags[0]
							pushed.Name, pushed.Updated = "pushed", noon.Add(10*time.Second)
							m.Repositories[0].Tags = append(tags[1:len(tags):len(tags)], pushed)
						})
					})
					rows, err := images(t, open(t, fake), listing("team/long"))
					if err != nil {
						return
					}
					found := map[string]bool{}
					for _, row := range rows {
						found[row.Tags[0].Name] = true
					}
					for i := 1; i < 250; i++ {
						if name := fmt.Sprintf("v%06d", i); !found[name] {
							t.Fatalf("%s is missing without an error", name)
						}
					}
				})
			}
		}
	}
}

// The same at every attempt: what an earlier attempt saw and a later one does
// not may have been passed over.
func TestMovingAgainAndAgain(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			fake := acrtest.New(long(instance, 250))
			pages := 0
			fake.Before(func(_ int, r *http.Request) {
				if !isTags(r) {
					return
				}
				if pages++; pages%3 != 2 {
					return
				}
				fake.Update(func(m *acrtest.Model) {
					tags := m.Repositories[0].Tags
					pushed := tags[0]
					pushed.Name, pushed.Updated = fmt.Sprint("pushed", pages), noon.Add(10*time.Second)
					m.Repositories[0].Tags = append(tags[1:len(tags):len(tags)], pushed)
				})
			})
			l := listing("team/long")
			_, err := images(t, open(t, fake), l)
			mustFail(t, err, portolan.ServerFailure, "kept changing")
			if !errors.Is(err, connector.ErrTruncated) || !l.Truncated {
				t.Errorf("%v, truncated: %t", err, l.Truncated)
			}
		})
	}
}

// A tag that moves at every attempt hides nothing.
func TestMovedAgainAndAgain(t *testing.T) {
	t.Parallel()
	fake := acrtest.New(long(acrtest.Instance, 250))
	fake.Before(func(_ int, r *http.Request) {
		if isTags(r) {
			fake.Update(func(m *acrtest.Model) { m.Repositories[0].Tags[120].Updated = noon.Add(10 * time.Second) })
		}
	})
	rows, err := images(t, open(t, fake), listing("team/long"))
	if err != nil || len(rows) != 250 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// A list that keeps changing is truncated.
func TestNeverStill(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			fake := acrtest.New(long(instance, 250))
			fake.Before(func(_ int, r *http.Request) {
				if isTags(r) {
					fake.Update(func(m *acrtest.Model) { m.Repositories[0].Tags = m.Repositories[0].Tags[1:] })
				}
			})
			l := listing("team/long")
			_, err := images(t, open(t, fake), l)
			mustFail(t, err, portolan.ServerFailure, "kept changing")
			if !errors.Is(err, connector.ErrTruncated) || !l.Truncated {
				t.Errorf("%v, truncated: %t", err, l.Truncated)
			}
		})
	}
}

// A list that does not hold what it announces is truncated, not short.
func TestShortList(t *testing.T) {
	t.Parallel()
	const one = `[{"tag":"a","digest":"0000000000000000000000000000000000000000000000000000000000000000"}]`
	for name, answer := range map[string]func(page string) string{
		"the same page for ever": func(string) string { return `"total":3,"pageSize":1,"tags":` + one },
		"fewer than announced":   func(string) string { return `"total":3,"pageSize":100,"tags":` + one },
		"an empty page": func(page string) string {
			if page == "1" {
				return `"total":3,"pageSize":1,"tags":` + one
			}
			return `"total":3,"pageSize":1,"tags":[]`
		},
		"null": func(string) string { return `"total":3,"pageSize":1,"tags":null` },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := acrtest.New(long("", 1))
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if isTags(r) {
					_, _ = fmt.Fprintf(w, `{"data":{%s}}`, answer(r.URL.Query().Get("Page")))
					return
				}
				fake.ServeHTTP(w, r)
			})
			if rows, err := images(t, open(t, h), listing("team/long")); !errors.Is(err, connector.ErrTruncated) || len(rows) > 0 {
				t.Errorf("%d rows, %v", len(rows), err)
			}
		})
	}
}

// A long list is handed on while it is read, and goes on after any row; not if
// it moved meanwhile.
func TestResumeLong(t *testing.T) {
	t.Parallel()
	const count = 5_150
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			fake := acrtest.New(long(instance, count))
			s := open(t, fake)
			known := &connectortest.Memory{}
			all, err := images(t, s, listing("team/long"))
			if err != nil || len(all) != count {
				t.Fatalf("%d rows, %v", len(all), err)
			}
			known.Learn(all...)
			for _, i := range []int{98, 99, 2_575, count - 1} {
				l := listing("team/long")
				l.Resume, l.Known, l.Listed = all[i].Cursor, known, i+1
				rows, err := images(t, s, l)
				if err != nil || len(rows) != count-i-1 || l.Listed != count || l.Announced != count {
					t.Fatalf("after row %d: %d rows, %d listed, %d announced, %v", i, len(rows), l.Listed, l.Announced, err)
				}
				if len(rows) > 0 && rows[0].Tags[0].Name != all[i+1].Tags[0].Name {
					t.Fatalf("after row %d came %s", i, rows[0].Tags[0].Name)
				}
			}
			fake.Update(func(m *acrtest.Model) { m.Repositories[0].Tags = m.Repositories[0].Tags[1:] })
			l := listing("team/long")
			l.Resume, l.Known = all[2_575].Cursor, known
			if _, err := images(t, s, l); !errors.Is(err, connector.ErrTruncated) {
				t.Errorf("moved meanwhile: %v", err)
			}
		})
	}
}

// TestMemory reads 100,000 tags within a bounded heap.
func TestMemory(t *testing.T) {
	const count = 100_000
	image := connectortest.NewImage("one")
	fake := acrtest.New(model(acrtest.Instance, nil))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isTags(r) {
			fake.ServeHTTP(w, r)
			return
		}
		var n int
		_, _ = fmt.Sscan(r.URL.Query().Get("PageNo"), &n)
		_, _ = fmt.Fprintf(w, `{"IsSuccess":true,"TotalCount":"%d","PageSize":100,"Images":[`, count)
		for i := range 100 {
			_, _ = fmt.Fprintf(w, `{"Tag":"v%d","Digest":%q,"ImageSize":1,"ImageCreate":"1572839125000","ImageUpdate":"1572875608000","Status":"NORMAL"}`, (n-1)*100+i, image.Digest.Wire())
			if i < 99 {
				_, _ = fmt.Fprint(w, ",")
			}
		}
		_, _ = fmt.Fprint(w, `]}`)
	})
	known := &connectortest.Memory{}
	if err := known.LearnManifest(image.Manifest); err != nil {
		t.Fatal(err)
	}
	s := open(t, h)
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rows, most := 0, uint64(0)
	l := &connector.Listing{Repository: connector.Repository{Path: "team/long", Fingerprint: "crr-1 0"}, Known: known}
	for row, err := range s.Images(t.Context(), l) {
		if err != nil || row.Err != nil {
			t.Fatal(err, row.Err)
		}
		if rows++; rows%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&during)
			most = max(most, during.HeapAlloc-min(before.HeapAlloc, during.HeapAlloc))
		}
	}
	if rows != count || most > 64<<20 {
		t.Errorf("%d rows with %d MiB", rows, most>>20)
	}
}
