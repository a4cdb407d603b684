package store

import (
	"cmp"
	"sync/atomic"

	"portolan"
)

// listed is a registry of a list: what lists are made by, and the rest as it was
// read, until somebody asks for it. Of thousands that are read at a start a page
// shows twenty.
type listed struct {
	kind

	id       int64
	created  int64 // in milliseconds
	name     string
	instance string
	sum      sum
	gone     bool
	row      packedRow
	full     atomic.Pointer[portolan.Registry]
}

// listedColumns are the first of registryColumns.
const listedColumns = `id, type, name, region_id, instance_id, created, deleted, image_count, repository_count, extra`

// registryIntegers tells which of registryColumns are integers.
var registryIntegers = integersOf(scanRegistry)

// scanListed scans a row of packed registryColumns. One that could not be told
// in full later is errUnpacked now.
func scanListed(row scanner) (*listed, error) {
	l := &listed{}
	if err := row.Scan((*string)(&l.row)); err != nil {
		return nil, err
	}
	if !l.row.fits(registryIntegers) {
		return nil, errUnpacked
	}
	var deleted int64
	var extra string
	err := l.row.Scan(&l.id, &l.registryType, &l.name, &l.region, &l.instance, &l.created, &deleted, &l.sum.images, &l.sum.repositories, &extra)
	if err != nil {
		return nil, err
	}
	if l.gone = deleted != 0; extra == noExtra || l.gone {
		return l, nil
	}
	r, err := scanRegistry(l.row)
	if err == nil {
		l.full.Store(r)
	}
	return l, err
}

// scanListedColumns scans a row of registryColumns.
func scanListedColumns(row scanner) (*listed, error) {
	r, err := scanRegistry(row)
	if err != nil {
		return nil, err
	}
	return listedOf(r), nil
}

func listedOf(r *portolan.Registry) *listed {
	l := &listed{
		kind: kind{r.Type, r.RegionID}, id: r.ID, created: millis(r.Created), name: r.Name, instance: r.InstanceID,
		sum: sum{r.ImageCount, r.RepositoryCount}, gone: !r.Deleted.IsZero(),
	}
	l.full.Store(r)
	return l
}

// registry is all of it, the same for everybody who asks.
func (l *listed) registry() *portolan.Registry {
	if r := l.full.Load(); r != nil {
		return r
	}
	r, _ := scanRegistry(l.row) // it fits, and has no extra settings
	l.full.CompareAndSwap(nil, r)
	return l.full.Load()
}

// brief has what criteria tell registries by.
func (l *listed) brief() *portolan.Registry {
	return &portolan.Registry{ID: l.id, Type: l.registryType, RegionID: l.region, InstanceID: l.instance}
}

// older orders registries as slots do: by creation, then id.
func older(a, b *listed) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
}
