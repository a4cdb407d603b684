package intake

// decodeQuay reads what Quay sends to webhooks. A push has updated_tags; other
// events do not, and change no tags (quay/quay, notifications/notificationevent.py).
// It has neither id nor time nor digest: two pushes of a tag say the same, so no
// two events are taken for one.
func decodeQuay(body []byte) (format, []hint, error) {
	var e struct {
		Repository string    `json:"repository"`
		DockerURL  string    `json:"docker_url"`
		Tags       *[]string `json:"updated_tags"`
	}
	if err := read(body, &e); err != nil {
		return formatQuay, nil, err
	}
	if e.Tags == nil {
		return formatQuay, nil, nil
	}
	h := hint{action: actionPush, path: e.Repository, host: hostOf(e.DockerURL)}
	if len(*e.Tags) > 0 {
		h.tag = (*e.Tags)[0]
	}
	hints, err := checked(h)
	return formatQuay, hints, err
}
