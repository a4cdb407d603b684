package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"portolan/internal/sign"
)

// kind of a call over many images: what is wanted of it.
type kind int

const (
	edge   kind = iota // near an end: at most three times the CPU of the same over few
	far                // any other page: 20 ms
	search             // any substring: 150 ms
)

// ask is a call to be made over few and over many images.
type ask struct {
	name      string
	operation string
	kind      kind
	page      func(total int) int
	criteria  func(row map[string]string) string
}

func criterion(name, value string) string {
	b, err := json.Marshal([]map[string]string{{"name": name, "value": value}})
	if err != nil {
		return ""
	}
	return string(b)
}

// asks are the calls that are measured. A criterion's value is that of a row
// of the store.
func asks() []ask {
	const images, repositories = "DescribeImageInstances", "DescribeImageRepoDetailList"
	first := func(int) int { return 1 }
	fiftieth := func(total int) int { return max(1, min(50, total/20)) }
	last := func(total int) int { return max(1, total/20) }
	middle := func(total int) int { return max(1, total/40) }
	all := func(map[string]string) string { return "" }
	of := func(name, column string) func(map[string]string) string {
		return func(row map[string]string) string { return criterion(name, row[column]) }
	}
	text := func(name, value string) func(map[string]string) string {
		return func(map[string]string) string { return criterion(name, value) }
	}
	var list []ask
	for _, operation := range []string{images, repositories} {
		list = append(list,
			ask{"first page", operation, edge, first, all},
			ask{"50th page", operation, edge, fiftieth, all},
			ask{"last page", operation, edge, last, all},
			ask{"50th page from the end", operation, edge, func(total int) int { return max(1, total/20-49) }, all},
			ask{"one registry", operation, edge, first, of("instanceId", "InstanceId")},
			ask{"one type", operation, edge, first, of("registryType", "RegistryType")},
			ask{"one region, last page", operation, edge, last, of("regionId", "RegionId")},
			ask{"one repository", operation, edge, first, of("repoId", "RepoId")},
			ask{"one namespace", operation, edge, first, of("repoNamespace", "RepoNamespace")},
			ask{"middle page", operation, far, middle, all},
			ask{"one type, middle page", operation, far, middle, of("registryType", "RegistryType")},
			ask{"one registry, middle page", operation, far, middle, of("instanceId", "InstanceId")},
			ask{"namespace contains", operation, search, first, text("repoNamespace", "M-3/grO")},
			ask{"name contains", operation, search, first, text("repoName", "pp-17")},
			ask{"name absent", operation, search, first, text("repoName", "nobody")},
		)
	}
	return append(list,
		ask{"tag contains, in all", images, search, first, text("tag", "V")},
		ask{"tag contains, in many", images, search, first, text("tag", "3.1")},
		ask{"tag contains, in few", images, search, first, text("tag", "v3.15.92")},
		ask{"tag absent", images, search, first, text("tag", "nightly")},
	)
}

// images compares lists over many images with the same over few.
func (b *bench) images(ctx context.Context, few, many *world, database string) error {
	s := b.section("Images and repositories, "+database, fmt.Sprintf("%d images against %d.", many.scale.total(), few.scale.total()))
	a, err := launchWith(ctx, few.spec.Data, few.spec)
	if err != nil {
		return err
	}
	defer func() { _ = a.stop() }()
	z, err := launchWith(ctx, many.spec.Data, many.spec)
	if err != nil {
		return err
	}
	defer func() { _ = z.stop() }()
	for _, q := range asks() {
		if err := b.compareImages(ctx, s, q, [2]*world{few, many}, [2]*server{a, z}, database); err != nil {
			return fmt.Errorf("%s, %s: %w", q.operation, q.name, err)
		}
	}
	return nil
}

func (b *bench) compareImages(ctx context.Context, s *section, q ask, worlds [2]*world, servers [2]*server, database string) error {
	var questions [2]*question
	var totals [2]int
	for k, w := range worlds {
		var err error
		if questions[k], totals[k], err = q.question(ctx, servers[k], w.key); err != nil {
			return err
		}
	}
	n := 40
	if q.kind != edge {
		n = 5
	}
	var cpu ratios
	var took []time.Duration
	var runs [2]*outcome
	for range b.runs {
		for k := range runs {
			requests, err := questions[k].prepare(worlds[k].key, n)
			if err != nil {
				return err
			}
			if runs[k], err = run(ctx, servers[k], requests, 1, exactly(totals[k])); err != nil {
				return err
			}
		}
		took = append(took, runs[1].at(0.5))
		cpu = append(cpu, cost(runs[1], database)/cost(runs[0], database))
	}
	f := figure{what: q.operation + ", " + q.name, note: fmt.Sprintf("%d rows; %s to %s; CPU %s to %s", totals[1],
		micros(runs[1].at(0.5)), micros(runs[0].at(0.5)), micros(runs[1].cpuEach()), micros(runs[0].cpuEach()))}
	switch q.kind {
	case edge:
		f.value, f.want, f.met = cpu.String(), "≤ 3.0", cpu.median() <= 3
	case far:
		f.value, f.want, f.met = micros(middle(took)), "< 20 ms", middle(took) < 20*time.Millisecond
	default:
		f.value, f.want, f.met = micros(middle(took)), "< 150 ms", middle(took) < 150*time.Millisecond
	}
	s.add(f)
	return nil
}

// cost is the CPU time of a request. PostgreSQL's part is in processes of its
// own; there it is the time of a request that has no other beside it.
func cost(o *outcome, database string) float64 {
	if database == "PostgreSQL" {
		return float64(o.at(0.5))
	}
	return float64(o.cpuEach())
}

func exactly(want int) func([]byte) error {
	return func(body []byte) error {
		total, err := totalOf(body)
		if err == nil && total != want {
			err = fmt.Errorf("TotalCount is %d and was %d", total, want)
		}
		return err
	}
}

var members = regexp.MustCompile(`"(InstanceId|RegistryType|RegionId|RepoId|RepoNamespace)":"([^"]*)"`)

// question makes the call over a store: its criterion from a row, its page
// from the total.
func (q *ask) question(ctx context.Context, s *server, key sign.Key) (*question, int, error) {
	made := question{operation: q.operation, algorithm: sign.ACS3SHA256, params: url.Values{"PageSize": {"20"}}}
	body, err := fetch(ctx, s, &made, key)
	if err != nil {
		return nil, 0, err
	}
	row := map[string]string{}
	for _, m := range members.FindAllSubmatch(body, -1) {
		row[string(m[1])] = string(m[2])
	}
	if c := q.criteria(row); c != "" {
		made.params.Set("Criteria", c)
	}
	if body, err = fetch(ctx, s, &made, key); err != nil {
		return nil, 0, err
	}
	total, err := totalOf(body)
	if err != nil {
		return nil, 0, err
	}
	made.params.Set("CurrentPage", fmt.Sprint(q.page(total)))
	_, err = fetch(ctx, s, &made, key)
	return &made, total, err
}
