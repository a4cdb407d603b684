package sas

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type findImageRequest struct {
	Image string `required:"true" range:"1,1024" doc:"A digest, a tag, or a reference: [host[:port]/]repository[:tag][@digest]. A repository matches the end of a path too." example:"harbor.example.com/platform/server:1.8.0"`
	rpc.Paging
}

type findImageResponse struct {
	List     []imageRow `doc:"Every place of the image, the last updated first."`
	PageInfo pageInfo   `doc:"Where the page is."`
}

func (s *Service) findImage() rpc.Endpoint {
	return rpc.Operation[findImageRequest, findImageResponse]{
		Spec: own("FindImage", rpc.Read, "Tells every place where a digest, tag or reference is, over all registries.", `
A text without slash, colon and at-sign is a digest if it is 64 hex digits, else a tag.`),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *findImageRequest) (*findImageResponse, error) {
			c, err := s.reference(ctx, caller.Principal.AccountID, req.Image)
			if err != nil {
				return nil, err
			}
			list, total, err := s.DB.Images(ctx, caller.Principal.AccountID, c, req.CurrentPage, req.PageSize)
			if err != nil {
				return nil, err
			}
			return &findImageResponse{List: imageRows(list), PageInfo: pageOf(req.Paging, len(list), total)}, nil
		},
	}.Endpoint()
}

// reference turns a digest, tag or reference into conditions.
func (s *Service) reference(ctx context.Context, account int64, text string) (store.Criteria, error) {
	if d, err := portolan.ParseDigest(text); err == nil {
		return criteriaOf(store.Term{Field: store.FieldDigest, Values: []string{string(d)}}), nil
	}
	if !strings.ContainsAny(text, "/:@") {
		return criteriaOf(store.Term{Field: store.FieldTagIs, Values: []string{text}}), nil
	}
	name, digest, pinned := strings.Cut(text, "@")
	var c store.Criteria
	if pinned {
		d, err := portolan.ParseDigest(digest)
		if err != nil {
			return c, portolan.Invalid("Image", "has a digest that is not sha256: and 64 hex digits")
		}
		c.Terms = append(c.Terms, store.Term{Field: store.FieldDigest, Values: []string{string(d)}})
	}
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		tag := name[colon+1:]
		if tag == "" {
			return c, portolan.Invalid("Image", "has nothing after its colon; want repository:tag")
		}
		c.Terms = append(c.Terms, store.Term{Field: store.FieldTagIs, Values: []string{tag}})
		name = name[:colon]
	}
	if slices.Contains(strings.Split(name, "/"), "") {
		return c, portolan.Invalid("Image", "has no repository, or an empty part in its path; want [host[:port]/]repository[:tag][@digest]")
	}
	return s.host(ctx, account, c, name)
}

// maxPlaces bounds the registries of one host: the same host with many users.
const maxPlaces = 500

// host takes the registry from the front of a name if one has that address.
func (s *Service) host(ctx context.Context, account int64, c store.Criteria, name string) (store.Criteria, error) {
	registries, err := s.DB.Registries(ctx, account)
	if err != nil {
		return c, err
	}
	first, rest, _ := strings.Cut(name, "/")
	var ids []string
	for r := range registries.All {
		if rest != "" && (strings.EqualFold(r.Address(), first) || strings.EqualFold(addressWithPort(r), first)) {
			ids = append(ids, strconv.FormatInt(r.ID, 10))
		}
	}
	switch {
	case len(ids) > maxPlaces:
		return c, portolan.Invalid("Image", "has a host that %d registries have, more than the %d that can be searched at once; leave the host out", len(ids), maxPlaces)
	case len(ids) > 0:
		c.Terms = append(c.Terms, store.Term{Field: store.FieldInstance, Values: ids})
		name = rest
	}
	c.Terms = append(c.Terms, store.Term{Field: store.FieldPathEnd, Values: []string{name}})
	return c, nil
}

// addressWithPort is host:port, also where the port goes without saying.
func addressWithPort(r *portolan.Registry) string {
	return net.JoinHostPort(r.DomainName, strconv.Itoa(r.Port))
}
