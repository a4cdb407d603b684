package acr

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// service is what a registry says of itself in its challenge.
type service struct {
	region string
	// instance is "" for Personal Edition.
	instance string
}

const serviceName = "registry.aliyuncs.com"

// parseService reads "registry.aliyuncs.com:<region>:<uid>" of Personal and
// "registry.aliyuncs.com:<region>:china:cri-…" of Enterprise Edition, as
// Harbor's adapter does. The region becomes part of a host name, so it may hold
// nothing that leads to another domain.
func parseService(text string) (service, bool) {
	parts := strings.Split(text, ":")
	if len(parts) < 3 || !strings.EqualFold(parts[0], serviceName) || !isLabel(parts[1]) {
		return service{}, false
	}
	s := service{region: parts[1]}
	if last := parts[len(parts)-1]; strings.HasPrefix(last, "cri-") {
		if !isLabel(last) {
			return service{}, false
		}
		s.instance = last
	}
	return s, true
}

// isLabel reports whether s is a label of a host name, of a-z, 0-9 and "-".
func isLabel(s string) bool {
	return portolan.ValidRegion(s) && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-")
}

// apiHost is where the API of the region is. A registry that goes by its name
// within a VPC (registry-vpc.…, …-registry-vpc.…) is reached from there, and so
// is the API then.
func (s service) apiHost(registry *url.URL) string {
	name := "cr."
	if first, _, _ := strings.Cut(registry.Hostname(), "."); strings.HasSuffix(first, "-vpc") {
		name = "cr-vpc."
	}
	return name + s.region + ".aliyuncs.com"
}

// discover asks the registry who it is: GET /v2/ without a credential, whose
// refusal tells edition, region and instance.
func discover(ctx context.Context, client *http.Client, base *url.URL) (service, error) {
	u := *base
	u.Path = "/v2/"
	p := &peek{client: client}
	_, _, err := connector.Get(ctx, p, &u, nil, connector.MaxManifest)
	status, refused := errors.AsType[*connector.StatusError](err)
	switch {
	case err != nil && !refused:
		return service{}, unreachable(err)
	case refused && status.Status == http.StatusForbidden:
		return service{}, closed(base.Host, err)
	case refused && (status.Status >= http.StatusInternalServerError || status.Status/100 == 3):
		return service{}, err
	}
	_, name := connector.BearerChallenge(p.header)
	found, ok := parseService(name)
	if !ok {
		return service{}, connector.Errorf(portolan.NotThisProduct, "%s does not answer like Alibaba Cloud Container Registry: /v2/ does not name its region.", base.Host).
			WithRemedy("Check the address and the type of the registry.")
	}
	return found, nil
}

// peek sends requests and remembers the header of the last answer.
type peek struct {
	client connector.Doer
	header http.Header
}

func (p *peek) Do(req *http.Request) (*http.Response, error) {
	resp, err := p.client.Do(req)
	if err == nil && resp.Request.URL.Host == req.URL.Host {
		p.header = resp.Header
	}
	return resp, err
}

const openTheDoor = "Allow Portolan's address in the instance's Internet access control (it is closed by default), or enter the instance's name within the VPC and choose NetType 2."

// closed is the error of an instance that lets this address in by no way.
func closed(host string, cause error) error {
	e := connector.Errorf(portolan.Forbidden, "%s refuses whoever comes from Portolan's address.", host).WithRemedy(openTheDoor)
	e.Err = cause
	return e
}

// unreachable adds to a failed connection why that is most likely so here.
func unreachable(err error) error {
	e, ok := errors.AsType[*connector.Error](err)
	if !ok || e.Class != portolan.ConnectFailure {
		return err
	}
	said := *e
	said.Err, said.Remedy = err, openTheDoor
	return &said
}
