package store

import (
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"

	"portolan"
)

// Registries are the visible registries of an account, indexed so that a page
// costs the same at 20 and at 20,000 of them. A registry has a slot; slots
// ascend in the order of creation, so the newest come last, and lists are read
// from the end. What changes is changed in place, under a lock that is held
// for microseconds.
type Registries struct {
	mu sync.RWMutex

	// generation is the account's count of registry changes taken in.
	generation int64
	slots      []slot
	byID       map[int64]int
	live       bitset
	types      map[portolan.RegistryType]bitset
	// sums are those of the registries' counts, by what criteria tell of many.
	sums map[kind]sum
	// instances are the slots by InstanceId.
	instances map[string]int
	// grams lists the slots whose names have, or once had, two characters in a
	// row; a candidate is always compared with the name it has now. They are
	// made when a name is looked for first, so that a start need not wait.
	grams  map[gram][]int32
	sought bool
	// found remembers which slots have a text in their names, and is kept up to
	// date, so that a text that is asked for again costs nothing.
	found map[string]bitset
	// foundSlots is the length of the lists in found when they were made.
	foundSlots int
}

type slot struct {
	*listed        // nil for one that is gone
	folded  string // its name, once names are sought
}

// kind is what many registries have in common.
type kind struct {
	registryType portolan.RegistryType
	region       string
}

// sum adds counts up.
type sum struct{ images, repositories int }

type gram [2]rune

const (
	// maxFound bounds the texts that are remembered, maxFoundSlots the slots in
	// their lists.
	maxFound      = 256
	maxFoundSlots = 500_000
	// A list half of which is gone is made anew.
	sparse = 2
)

func newRegistries() *Registries {
	v := &Registries{}
	v.clear()
	return v
}

func (v *Registries) clear() {
	v.slots, v.live, v.sums, v.instances = nil, nil, map[kind]sum{}, map[string]int{}
	v.byID, v.types = map[int64]int{}, map[portolan.RegistryType]bitset{}
	v.grams, v.found, v.foundSlots = map[gram][]int32{}, map[string]bitset{}, 0
}

// change takes in registries that are new, changed or deleted up to a
// generation.
func (v *Registries) change(changed []*listed, generation int64) {
	slices.SortFunc(changed, older)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.generation = generation
	if len(v.slots) == 0 {
		v.slots, v.byID = make([]slot, 0, len(changed)), make(map[int64]int, len(changed))
		v.instances = make(map[string]int, len(changed))
	}
	for i, l := range changed {
		at, known := v.byID[l.id]
		switch {
		case l.gone && known:
			v.remove(at)
		case l.gone:
		case known:
			v.replace(at, l)
		case len(v.slots) > 0 && older(v.newest(), l) > 0:
			// It belongs between others: a restored one, or one whose
			// transaction took longer than a later one's.
			v.rebuild(changed[i:])
			return
		default:
			v.append(l)
		}
	}
	if len(v.slots) > sparse*max(len(v.byID), 64) {
		v.rebuild(nil)
	}
}

// newest is the registry in the last slot, or the last there was.
func (v *Registries) newest() *listed {
	for _, s := range slices.Backward(v.slots) {
		if s.listed != nil {
			return s.listed
		}
	}
	return &listed{}
}

func (v *Registries) append(l *listed) {
	at := len(v.slots)
	v.slots = append(v.slots, slot{listed: l})
	v.byID[l.id] = at
	v.live = v.live.set(at)
	v.types[l.registryType] = v.types[l.registryType].set(at)
	v.instances[l.instance] = at
	v.count(l, 1)
	if v.sought {
		v.index(at)
	}
}

// count adds the counts of a registry to the sums, so many times.
func (v *Registries) count(l *listed, times int) {
	s := v.sums[l.kind]
	v.sums[l.kind] = sum{s.images + times*l.sum.images, s.repositories + times*l.sum.repositories}
}

func (v *Registries) replace(at int, l *listed) {
	s := &v.slots[at]
	v.count(s.listed, -1)
	v.count(l, 1)
	renamed := s.name != l.name
	s.listed = l
	if renamed && v.sought {
		v.index(at)
	}
}

func (v *Registries) remove(at int) {
	l := v.slots[at].listed
	delete(v.byID, l.id)
	v.live.unset(at)
	v.types[l.registryType].unset(at)
	delete(v.instances, l.instance)
	v.count(l, -1)
	v.slots[at] = slot{}
	for _, slots := range v.found {
		slots.unset(at)
	}
}

// rebuild makes everything anew, with changed taken in.
func (v *Registries) rebuild(changed []*listed) {
	all := make(map[int64]*listed, len(v.byID)+len(changed))
	for _, s := range v.slots {
		if s.listed != nil {
			all[s.id] = s.listed
		}
	}
	for _, l := range changed {
		if all[l.id] = l; l.gone {
			delete(all, l.id)
		}
	}
	v.clear()
	for _, l := range slices.SortedFunc(maps.Values(all), older) {
		v.append(l)
	}
}

// index enters the name of a slot.
func (v *Registries) index(at int) {
	name := portolan.Fold(v.slots[at].name)
	v.slots[at].folded = name
	for g := range gramsOf(name) {
		v.grams[g] = with(v.grams[g], at)
	}
	for text, slots := range v.found {
		if strings.Contains(name, text) {
			v.found[text] = slots.set(at)
		} else {
			slots.unset(at)
		}
	}
}

// gramsOf yields each two characters in a row, and each alone with 0.
func gramsOf(s string) iter.Seq[gram] {
	return func(yield func(gram) bool) {
		previous := rune(0)
		for _, c := range s {
			if !yield(gram{c}) || previous != 0 && !yield(gram{previous, c}) {
				return
			}
			previous = c
		}
	}
}

// with is a sorted list with a number in it.
func with(list []int32, at int) []int32 {
	n := int32(at)
	if len(list) == 0 || list[len(list)-1] < n {
		return append(list, n)
	}
	i, found := slices.BinarySearch(list, n)
	if found {
		return list
	}
	return slices.Insert(list, i, n)
}

// RegistryFilter selects registries; its parts combine with AND.
type RegistryFilter struct {
	// NameLike is a substring of the name, compared folded; "" for any.
	NameLike string
	// Types and NotTypes compare exactly; Types empty means any.
	Types, NotTypes []string
}

// Page answers one page (from 1) of the registries that the filter selects,
// newest first, and the number of all that it selects. Both belong to one
// state.
func (v *Registries) Page(f RegistryFilter, page, size int) ([]*portolan.Registry, int) {
	like := portolan.Fold(f.NameLike)
	if like != "" {
		v.find(like)
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	selected := v.ofTypes(&f)
	if like != "" {
		named, found := v.found[like]
		if !found { // another text took its place meanwhile
			named = v.scan(like)
		}
		selected = named.and(selected)
	}
	slots, total := selected.fromEnd(make([]int, 0, min(size, len(v.byID))), skipped(page, size), size)
	list := make([]*portolan.Registry, len(slots))
	for i, at := range slots {
		list[i] = v.slots[at].registry()
	}
	return list, total
}

// ofTypes answers the live slots of the types that the filter admits.
func (v *Registries) ofTypes(f *RegistryFilter) bitset {
	if len(f.Types) == 0 && len(f.NotTypes) == 0 {
		return v.live
	}
	b := make(bitset, len(v.live))
	for t, slots := range v.types {
		if (len(f.Types) == 0 || slices.Contains(f.Types, string(t))) && !slices.Contains(f.NotTypes, string(t)) {
			for i, word := range slots {
				b[i] |= word
			}
		}
	}
	return b
}

// find looks a text up once, to be remembered.
func (v *Registries) find(text string) {
	v.mu.RLock()
	_, found := v.found[text]
	v.mu.RUnlock()
	if found {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.sought {
		v.sought = true
		for at := range v.slots {
			if v.slots[at].listed != nil {
				v.index(at)
			}
		}
	}
	list := v.scan(text)
	if len(v.found) >= maxFound || v.foundSlots+len(list) > maxFoundSlots {
		clear(v.found)
		v.foundSlots = 0
	}
	v.found[text] = list
	v.foundSlots += len(list)
}

// scan answers the slots with a text in their names, by way of the rarest two
// characters of it.
func (v *Registries) scan(text string) bitset {
	var candidates []int32
	first := true
	for g := range gramsOf(text) {
		if list := v.grams[g]; first || len(list) < len(candidates) {
			candidates, first = list, false
		}
	}
	var slots bitset
	for _, at := range candidates {
		if s := &v.slots[at]; s.listed != nil && strings.Contains(s.folded, text) {
			slots = slots.set(int(at))
		}
	}
	return slots
}

// Kinds yields the type and the region of every registry.
func (v *Registries) Kinds(yield func(portolan.RegistryType, string) bool) {
	for _, l := range v.all() {
		if !yield(l.registryType, l.region) {
			return
		}
	}
}

// All yields every registry, newest first, as they are at the start.
func (v *Registries) All(yield func(*portolan.Registry) bool) {
	for _, l := range v.all() {
		if !yield(l.registry()) {
			return
		}
	}
}

func (v *Registries) all() []*listed {
	v.mu.RLock()
	defer v.mu.RUnlock()
	list := make([]*listed, 0, len(v.byID))
	for _, s := range slices.Backward(v.slots) {
		if s.listed != nil {
			list = append(list, s.listed)
		}
	}
	return list
}

// Get answers a registry by its id, nil if the account has none.
func (v *Registries) Get(id int64) *portolan.Registry {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if at, ok := v.byID[id]; ok {
		return v.slots[at].registry()
	}
	return nil
}

// Images is the number of images in all registries.
func (v *Registries) Images() int {
	images, _, _ := v.countsOf(&Criteria{})
	return images
}

// countsOf are the numbers of images and repositories in the registries that
// criteria admit which are ofRegistries, and the generation for which they hold.
func (v *Registries) countsOf(c *Criteria) (images, repositories int, generation int64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var total sum
	add := func(r *portolan.Registry, of sum) {
		if c.admits(r) {
			total = sum{total.images + of.images, total.repositories + of.repositories}
		}
	}
	switch {
	case c.oneRegistry():
		for at := range v.named(c) {
			add(v.slots[at].brief(), v.slots[at].sum)
		}
	case !c.has(FieldInstance):
		for k, of := range v.sums {
			add(&portolan.Registry{Type: k.registryType, RegionID: k.region}, of)
		}
	default:
		for _, s := range v.slots {
			if s.listed != nil {
				add(s.brief(), s.sum)
			}
		}
	}
	return total.images, total.repositories, v.generation
}

// named are the slots that criteria which are oneRegistry may name: that of an
// InstanceId, and that of a registry's id.
func (v *Registries) named(c *Criteria) map[int]bool {
	slots := map[int]bool{}
	for _, t := range c.Terms {
		if t.Field != FieldInstance || len(t.Values) != 1 {
			continue
		}
		if at, ok := v.instances[t.Values[0]]; ok {
			slots[at] = true
		}
		if id, err := strconv.ParseInt(t.Values[0], 10, 64); err == nil {
			if at, ok := v.byID[id]; ok {
				slots[at] = true
			}
		}
	}
	return slots
}

// bitset is a set of slots.
type bitset []uint64

const wordBits = 64

func (b bitset) set(i int) bitset {
	for len(b) <= i/wordBits {
		b = append(b, 0)
	}
	b[i/wordBits] |= 1 << (i % wordBits)
	return b
}

func (b bitset) unset(i int) {
	if i/wordBits < len(b) {
		b[i/wordBits] &^= 1 << (i % wordBits)
	}
}

// and is what is in both sets.
func (b bitset) and(other bitset) bitset {
	both := make(bitset, min(len(b), len(other)))
	for i := range both {
		both[i] = b[i] & other[i]
	}
	return both
}

// fromEnd takes a page of the set from the end, and counts all of it.
func (b bitset) fromEnd(into []int, skip, size int) (page []int, total int) {
	for i, word := range slices.Backward(b) {
		n := bits.OnesCount64(word)
		if total+n > skip && len(into) < size {
			into = takeBits(into, word, i*wordBits, max(0, skip-total), size)
		}
		total += n
	}
	return into, total
}

// takeBits takes bits of a word from the highest, after skip of them.
func takeBits(into []int, word uint64, base, skip, size int) []int {
	for word != 0 && len(into) < size {
		high := bits.Len64(word) - 1
		word &^= 1 << high
		if skip > 0 {
			skip--
			continue
		}
		into = append(into, base+high)
	}
	return into
}
