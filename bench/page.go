package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"portolan/internal/sign"
)

const connections = 8

func pageQuestion(a sign.Algorithm, params ...string) question {
	v := url.Values{"PageSize": {"20"}, "CurrentPage": {"1"}, "RegionId": {"cn-hangzhou"}}
	for pair := range slices.Chunk(params, 2) {
		v.Set(pair[0], pair[1])
	}
	return question{operation: "PageImageRegistry", params: v, algorithm: a}
}

// againstFloor compares PageImageRegistry with the floor.
func (b *bench) againstFloor(ctx context.Context, s *section, w *world, database string) error {
	portolan, err := launch(ctx, w.spec.Data, w.spec)
	if err != nil {
		return err
	}
	defer func() { _ = portolan.stop() }()
	for _, a := range []sign.Algorithm{sign.HMACSHA1, sign.ACS3SHA256} {
		q := pageQuestion(a)
		body, err := fetch(ctx, portolan, &q, w.key)
		if err != nil {
			return err
		}
		floor, err := launch(ctx, b.folder, spec{Floor: true, Body: body, Secret: w.key.Secret})
		if err != nil {
			return err
		}
		err = b.compareFloor(ctx, s, w, portolan, floor, &q, fmt.Sprintf("%s, %s, %d registries", database, a, w.scale.all()))
		if err := errors.Join(err, floor.stop()); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) compareFloor(ctx context.Context, s *section, w *world, portolan, floor *server, q *question, what string) error {
	var throughput, cpu ratios
	var ours, theirs *outcome
	for i := range b.runs + 1 {
		requests, err := q.prepare(w.key, b.requests)
		if err != nil {
			return err
		}
		if theirs, err = run(ctx, floor, requests, connections, nil); err != nil {
			return err
		}
		if ours, err = run(ctx, portolan, requests, connections, nil); err != nil {
			return err
		}
		if i > 0 { // the first warms up
			throughput = append(throughput, ours.perSecond()/theirs.perSecond())
			cpu = append(cpu, float64(ours.cpuEach())/float64(theirs.cpuEach()))
		}
	}
	var err error
	if s.after == "" {
		s.after, err = b.profiled(ctx, w, portolan, q)
	}
	s.add(figure{
		what: what, value: throughput.String(), want: "≥ 0.60", met: throughput.median() >= 0.6,
		note: fmt.Sprintf("%.0f of %.0f requests/s; CPU %s to %s (%.2fx); %.0f to %.0f allocations, %.1f to %.1f KiB", ours.perSecond(), theirs.perSecond(),
			micros(ours.cpuEach()), micros(theirs.cpuEach()), cpu.median(), ours.mallocsEach(), theirs.mallocsEach(), ours.bytesEach()/1024, theirs.bytesEach()/1024),
	})
	return err
}

// profiled takes a profile of the server while it answers, and sums it up.
func (b *bench) profiled(ctx context.Context, w *world, portolan *server, q *question) (string, error) {
	requests, err := q.prepare(w.key, 2*b.requests)
	if err != nil {
		return "", err
	}
	path := filepath.Join(b.folder, "page.pprof")
	if _, err := portolan.tell("profile " + path); err != nil {
		return "", err
	}
	_, err = run(ctx, portolan, requests, connections, nil)
	_, stop := portolan.tell("profiled")
	if err := errors.Join(err, stop); err != nil {
		return "", err
	}
	return breakdown(ctx, path)
}

// filters are the calls that must cost the same at any number of registries.
func filters(registries int) []struct {
	name string
	q    question
} {
	page := func(n int) string { return fmt.Sprint(max(1, n)) }
	like := func(text string) question { return pageQuestion(sign.ACS3SHA256, "RegistryNameLike", text) }
	fresh := like("")
	fresh.vary = func(n int, v url.Values) { v.Set("RegistryNameLike", fmt.Sprintf("team %d", n)) }
	once := like("")
	once.vary = func(n int, v url.Values) { v.Set("RegistryNameLike", fmt.Sprintf("y %d of t", n%registries)) }
	return []struct {
		name string
		q    question
	}{
		{"middle page", pageQuestion(sign.ACS3SHA256, "CurrentPage", page(registries/40))},
		{"last page", pageQuestion(sign.ACS3SHA256, "CurrentPage", page(registries/20))},
		{"one type", pageQuestion(sign.ACS3SHA256, "RegistryTypeInList.1", "harbor")},
		{"not one type, last page", pageQuestion(sign.ACS3SHA256, "RegistryTypeNotInList.1", "harbor", "CurrentPage", page(registries*3/80))},
		{"name, one letter", like("e")},
		{"name, one letter, and a type", pageQuestion(sign.ACS3SHA256, "RegistryNameLike", "e", "RegistryTypeInList.1", "quay")},
		{"name, rare", like("Registry 17 OF")},
		{"name, absent", like("nobody")},
		{"name, CJK", like("镜像")},
		{"name, emoji", like("🚢")},
		{"name, another one each time, absent", fresh},
		{"name, another one each time", once},
	}
}

// overScale compares calls at many registries with the same at few.
func (b *bench) overScale(ctx context.Context, s *section, few, many *world, database string) error {
	a, err := launch(ctx, few.spec.Data, few.spec)
	if err != nil {
		return err
	}
	defer func() { _ = a.stop() }()
	z, err := launch(ctx, many.spec.Data, many.spec)
	if err != nil {
		return err
	}
	defer func() { _ = z.stop() }()
	left, right := filters(few.scale.all()), filters(many.scale.all())
	for i := range right {
		if err := b.compareScale(ctx, s, [2]*world{few, many}, [2]*server{a, z}, [2]*question{&left[i].q, &right[i].q}, database+", "+right[i].name); err != nil {
			return err
		}
	}
	return b.whileWriting(ctx, s, many, z, database)
}

func (b *bench) compareScale(ctx context.Context, s *section, w [2]*world, servers [2]*server, q [2]*question, what string) error {
	var cpu, tail ratios
	var runs [2]*outcome
	for i := range b.runs + 1 {
		for k := range runs {
			requests, err := q[k].prepare(w[k].key, b.requests/8)
			if err != nil {
				return err
			}
			if runs[k], err = run(ctx, servers[k], requests, connections, nil); err != nil {
				return err
			}
		}
		if i > 0 {
			cpu = append(cpu, float64(runs[1].cpuEach())/float64(runs[0].cpuEach()))
			tail = append(tail, float64(runs[1].at(0.99))/float64(runs[0].at(0.99)))
		}
	}
	s.add(figure{
		what: what + ": CPU", value: cpu.String(), want: "≤ 2.0", met: cpu.median() <= 2,
		note: fmt.Sprintf("%s to %s", micros(runs[1].cpuEach()), micros(runs[0].cpuEach())),
	})
	s.add(figure{
		what: what + ": p99", value: tail.String(), want: "≤ 3.0", met: tail.median() <= 3,
		note: fmt.Sprintf("%s to %s", micros(runs[1].at(0.99)), micros(runs[0].at(0.99))),
	})
	return nil
}

// whileWriting reads while registries are added and removed, and checks every
// total: a reader's is one of the two that are true meanwhile, the writer's
// own is exact after each of its writes.
func (b *bench) whileWriting(ctx context.Context, s *section, w *world, z *server, database string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := pageQuestion(sign.ACS3SHA256, "RegistryNameLike", "e")
	body, err := fetch(ctx, z, &q, w.key)
	if err != nil {
		return err
	}
	base, err := totalOf(body)
	if err != nil {
		return err
	}
	written := make(chan writes, 1)
	go func() { written <- writeAll(ctx, z, w.key, &q, base) }()
	check := func(body []byte) error {
		if total, err := totalOf(body); err != nil || total != base && total != base+1 {
			return fmt.Errorf("TotalCount is %d while it is %d or %d (%w)", total, base, base+1, err)
		}
		return nil
	}
	quiet, err := q.prepare(w.key, b.requests)
	if err != nil {
		return err
	}
	o, err := run(ctx, z, quiet, connections, check)
	if err != nil {
		return err
	}
	cancel()
	done := <-written
	if done.err != nil {
		return done.err
	}
	s.add(figure{
		what: database + ", while a writer adds and removes", value: fmt.Sprintf("%d totals, all exact", o.requests+done.n), want: "exact", met: true,
		note: fmt.Sprintf("%d writes in %s; CPU %s, p99 %s", done.n, o.took.Round(time.Millisecond), micros(o.cpuEach()), micros(o.at(0.99))),
	})
	return nil
}

type writes struct {
	n   int
	err error
}

// writeAll adds and removes one registry again and again.
func writeAll(ctx context.Context, z *server, key sign.Key, q *question, base int) writes {
	var done writes
	for ctx.Err() == nil {
		id, err := add(ctx, z, key, done.n)
		if err == nil {
			err = expect(ctx, z, q, key, base+1)
		}
		if err == nil {
			remove := question{operation: "DeletePrivateRegistry", params: url.Values{"RegistryId": {id}}, algorithm: sign.ACS3SHA256}
			_, err = fetch(context.WithoutCancel(ctx), z, &remove, key)
		}
		if err == nil {
			err = expect(ctx, z, q, key, base)
		}
		if err != nil {
			done.err = err
			return done
		}
		done.n += 2
	}
	return done
}

func expect(ctx context.Context, z *server, q *question, key sign.Key, want int) error {
	body, err := fetch(context.WithoutCancel(ctx), z, q, key)
	if err != nil {
		return err
	}
	if total, err := totalOf(body); err != nil || total != want {
		return fmt.Errorf("TotalCount is %d and not %d (%w)", total, want, err)
	}
	return nil
}

func add(ctx context.Context, z *server, key sign.Key, n int) (string, error) {
	q := question{operation: "AddPrivateRegistry", algorithm: sign.ACS3SHA256, params: url.Values{
		"RegistryType": {"harbor"}, "RegistryName": {"one more"}, "DomainName": {fmt.Sprintf("more-%d.invalid", n)},
	}}
	body, err := fetch(context.WithoutCancel(ctx), z, &q, key)
	if err != nil {
		return "", err
	}
	m := newID.FindSubmatch(body)
	if m == nil {
		return "", fmt.Errorf("no id in %s", body)
	}
	return string(m[1]), nil
}
