package rpc

import (
	"net/http"

	"portolan"
)

// Catalog is the explicit list of all endpoints of a server.
type Catalog struct {
	endpoints []*Endpoint
	versions  map[string]map[string]*Endpoint
}

// NewCatalog makes a catalogue. It panics when two endpoints have the same
// version and name.
func NewCatalog(endpoints []Endpoint) *Catalog {
	c := &Catalog{versions: map[string]map[string]*Endpoint{}}
	for i := range endpoints {
		e := &endpoints[i]
		actions := c.versions[e.Version]
		if actions == nil {
			actions = map[string]*Endpoint{}
			c.versions[e.Version] = actions
		}
		if actions[e.Name] != nil {
			mistake(e.Name, "twice in version %s", e.Version)
		}
		actions[e.Name] = e
		c.endpoints = append(c.endpoints, e)
	}
	return c
}

// Endpoints lists all endpoints in the order in which they were given.
func (c *Catalog) Endpoints() []*Endpoint { return c.endpoints }

// Find answers the endpoint of a version and action as the wire names them,
// or the error that the vendor's gateway gives for an unknown one.
func (c *Catalog) Find(version, action string) (*Endpoint, error) {
	actions, known := c.versions[version]
	if !known {
		return nil, portolan.Refused("InvalidVersion", "Specified parameter Version is not valid.")
	}
	e, known := actions[action]
	if !known {
		return nil, &portolan.Error{
			Code: "InvalidAction.NotFound", Status: http.StatusNotFound,
			Message: "Specified api is not found, please check your url and method.",
		}
	}
	return e, nil
}
