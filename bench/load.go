package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portolan/internal/sign"
)

// question is a call to be sent many times, each time with a nonce of its own.
type question struct {
	operation string
	params    url.Values
	algorithm sign.Algorithm
	// vary, if set, changes the parameters of the nth request.
	vary func(n int, params url.Values)
}

// host is what requests are signed for; servers do not care for their name.
const host = "portolan.example.com"

// prepare signs n requests, so that signing is not measured.
func (q *question) prepare(key sign.Key, n int) ([][]byte, error) {
	list := make([][]byte, n)
	for i := range list {
		params := q.params
		if q.vary != nil {
			params = url.Values{}
			maps.Copy(params, q.params)
			q.vary(i, params)
		}
		r, err := sign.Sign(&sign.Request{Method: "GET", Path: "/", Host: host, RawQuery: params.Encode()}, key, sign.Call{
			Algorithm: q.algorithm, Action: q.operation, Version: "2018-12-03", Format: "JSON", Time: time.Now(), Nonce: rand.Text(),
		})
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "GET /?%s HTTP/1.1\r\nHost: %s\r\n", r.RawQuery, host)
		if err := r.Header.Write(&b); err != nil {
			return nil, err
		}
		b.WriteString("\r\n")
		list[i] = b.Bytes()
	}
	return list, nil
}

// connection is the cheapest client there is, so that it is not what is
// measured: it writes bytes that are ready and reads a body of known length.
type connection struct {
	net.Conn
	r *bufio.Reader
}

func dial(ctx context.Context, addr string) (*connection, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr) //nolint:forbidigo // a server of this run
	if err != nil {
		return nil, err
	}
	return &connection{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

var lengthHeader = []byte("Content-Length: ")

// ask sends a request. The body is valid until the next one.
func (c *connection) ask(request []byte, body []byte) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return body, err
	}
	length, status := 0, ""
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return body, err
		}
		if len(line) <= 2 {
			break
		}
		if status == "" {
			_, rest, _ := strings.Cut(string(line), " ")
			status, _, _ = strings.Cut(rest, " ")
		} else if text, ok := bytes.CutPrefix(line, lengthHeader); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(text))); err != nil {
				return body, err
			}
		}
	}
	body = slices.Grow(body[:0], length)[:length]
	if _, err := io.ReadFull(c.r, body); err != nil {
		return body, err
	}
	if status != "200" {
		return body, fmt.Errorf("the server answered %s: %s", status, body)
	}
	return body, nil
}

// outcome is what came of a run.
type outcome struct {
	requests  int
	took      time.Duration
	cpu       time.Duration // of the server
	mallocs   uint64
	bytes     uint64
	latencies []time.Duration // ascending
}

func (o *outcome) perSecond() float64         { return float64(o.requests) / o.took.Seconds() }
func (o *outcome) cpuEach() time.Duration     { return o.cpu / time.Duration(o.requests) }
func (o *outcome) mallocsEach() float64       { return float64(o.mallocs) / float64(o.requests) }
func (o *outcome) bytesEach() float64         { return float64(o.bytes) / float64(o.requests) }
func (o *outcome) at(p float64) time.Duration { return o.latencies[int(p*float64(len(o.latencies)-1))] }

// run sends requests over keep-alive connections and measures the server.
func run(ctx context.Context, s *server, requests [][]byte, connections int, check func(body []byte) error) (*outcome, error) {
	open := make([]*connection, connections)
	for i := range open {
		var err error
		if open[i], err = dial(ctx, s.addr); err != nil {
			return nil, err
		}
		defer func() { _ = open[i].Close() }()
	}
	before, err := s.usage()
	if err != nil {
		return nil, err
	}
	o := &outcome{requests: len(requests), latencies: make([]time.Duration, len(requests))}
	errs := make([]error, connections)
	var next atomic.Int64
	var wg sync.WaitGroup
	started := time.Now()
	for i, c := range open {
		wg.Go(func() {
			var body []byte
			for errs[i] == nil {
				n := int(next.Add(1)) - 1
				if n >= len(requests) {
					return
				}
				sent := time.Now()
				body, errs[i] = c.ask(requests[n], body)
				o.latencies[n] = time.Since(sent)
				if errs[i] == nil && check != nil {
					errs[i] = check(body)
				}
			}
		})
	}
	wg.Wait()
	o.took = time.Since(started)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	after, err := s.usage()
	o.cpu, o.mallocs, o.bytes = after.CPU-before.CPU, after.Mallocs-before.Mallocs, after.Bytes-before.Bytes
	slices.Sort(o.latencies)
	return o, err
}

var totalCount = regexp.MustCompile(`"TotalCount":(\d+)`)

// totalOf finds the total that a list states.
func totalOf(body []byte) (int, error) {
	m := totalCount.FindSubmatch(body)
	if m == nil {
		return 0, fmt.Errorf("no TotalCount in %.300s", body)
	}
	return strconv.Atoi(string(m[1]))
}

// fetch asks once and answers a copy of the body.
func fetch(ctx context.Context, s *server, q *question, key sign.Key) ([]byte, error) {
	list, err := q.prepare(key, 1)
	if err != nil {
		return nil, err
	}
	c, err := dial(ctx, s.addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return c.ask(list[0], nil)
}
