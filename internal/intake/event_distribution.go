package intake

import (
	"strings"
)

// blobType is the type of blobs in events: a layer that was pushed changes no
// list, its manifest follows.
const blobType = "application/octet-stream"

// distributionEvent is one of an envelope's (distribution, about/notifications).
type distributionEvent struct {
	ID     string `json:"id"`
	Action string `json:"action"`
	Target struct {
		MediaType  string `json:"mediaType"`
		Digest     string `json:"digest"`
		Repository string `json:"repository"`
		URL        string `json:"url"`
		Tag        string `json:"tag"`
	} `json:"target"`
	Request struct {
		Host      string `json:"host"`
		UserAgent string `json:"useragent"`
	} `json:"request"`
}

func decodeDistribution(body []byte) (format, []hint, error) {
	var e struct {
		Events []distributionEvent `json:"events"`
	}
	if err := read(body, &e); err != nil {
		return formatDistribution, nil, err
	}
	var hints []hint
	for i := range e.Events {
		list, err := e.Events[i].hints()
		if err != nil {
			return formatDistribution, nil, err
		}
		hints = append(hints, list...)
	}
	return formatDistribution, hints, nil
}

func (e *distributionEvent) hints() ([]hint, error) {
	if e.Action == "" {
		return nil, malformed("An event of the envelope has no action.")
	}
	did := map[string]action{"push": actionPush, "delete": actionDelete}[e.Action]
	if did == actionNone || e.Target.MediaType == blobType || strings.HasPrefix(e.Request.UserAgent, "Portolan/") {
		return nil, nil
	}
	host := hostOf(e.Target.URL)
	if host == "" {
		host = strings.ToLower(e.Request.Host)
	}
	return checked(hint{id: e.ID, action: did, path: e.Target.Repository, tag: e.Target.Tag, digest: e.Target.Digest, host: host})
}
