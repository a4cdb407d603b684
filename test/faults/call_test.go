package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"portolan/internal/iam"
	"portolan/internal/sign"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// call is a signed call, to be sent once or again.
type call struct {
	signed *sign.Request
	addr   string
}

// newCall signs a call of an operation for the server at the address.
func newCall(addr string, root iam.Credentials, operation string, params ...string) (call, error) {
	form := url.Values{}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	signed, err := sign.Sign(&sign.Request{Method: http.MethodPost, Path: "/", Host: addr, Body: []byte(form.Encode())},
		sign.Key{ID: root.AccessKeyID, Secret: root.AccessKeySecret},
		sign.Call{Algorithm: sign.ACS3SHA256, Action: operation, Version: "2018-12-03", Time: time.Now(), Nonce: uuid.NewString()})
	return call{signed, addr}, err
}

// sendTo sends the call to a server, which need not be the one that it names:
// a proxy in front keeps the Host.
func (c call) sendTo(ctx context.Context, addr string) (int, answer, error) {
	req, err := http.NewRequestWithContext(ctx, c.signed.Method, "http://"+addr+"/?"+c.signed.RawQuery, bytes.NewReader(c.signed.Body))
	if err != nil {
		return 0, answer{}, err
	}
	req.Header, req.Host = c.signed.Header.Clone(), c.addr
	resp, err := plain.Do(req)
	if err != nil {
		return 0, answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, answer{}, err
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return 0, a, fmt.Errorf("%w: %s", err, body)
	}
	return resp.StatusCode, a, nil
}

// plain speaks to servers of the test.
var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}

// answer is what the tests look at of an answer.
type answer struct {
	RequestID string `json:"RequestId"`
	Code      string
	Message   string
	Data      json.RawMessage
	List      []entry
	PageInfo  struct{ TotalCount int }
}

type entry struct {
	ID            int64 `json:"Id"`
	RegistryName  string
	DomainName    string
	UserName      string
	ImageCount    int
	SyncStatus    string
	SyncErrorCode string
}

func unmarshal(a answer, v any) error { return json.Unmarshal(a.Data, v) }

// idOf is the id of a registry that was added.
func idOf(a answer) (int64, error) {
	var data struct {
		ID int64 `json:"Id"`
	}
	err := unmarshal(a, &data)
	return data.ID, err
}
