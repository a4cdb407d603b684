package intake

// decodeACR reads what a trigger of Alibaba Cloud Container Registry sends: on
// pushes only. It has no host; its times have no zone, and serve to tell one
// push from the next.
func decodeACR(body []byte) (format, []hint, error) {
	var e struct {
		Push struct {
			Digest string `json:"digest"`
			Tag    string `json:"tag"`
		} `json:"push_data"`
		Repository struct {
			FullName  string `json:"repo_full_name"`
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"repository"`
	}
	if err := read(body, &e); err != nil {
		return formatACR, nil, err
	}
	path := e.Repository.FullName
	if path == "" && e.Repository.Namespace != "" && e.Repository.Name != "" {
		path = e.Repository.Namespace + "/" + e.Repository.Name
	}
	hints, err := checked(hint{id: hashOf(body), action: actionPush, path: path, tag: e.Push.Tag, digest: e.Push.Digest})
	return formatACR, hints, err
}
