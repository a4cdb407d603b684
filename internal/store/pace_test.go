package store

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	hold := sqliteDialect.hold
	db := &DB{}
	if n := db.Room(); n != firstRoom {
		t.Errorf("at first there is room for %d rows", n)
	}
	for range 100 {
		db.pace.took(db.Room(), time.Millisecond, hold)
	}
	if n := db.Room(); n != mostRoom {
		t.Errorf("a quick store has room for %d rows", n)
	}
	db.pace.took(1, 3*hold, hold)
	if n := db.Room(); n != mostRoom/2 {
		t.Errorf("after a slow transaction there is room for %d rows", n)
	}
	db.pace.took(1, time.Millisecond, hold)
	if n := db.Room(); n != mostRoom/2 {
		t.Errorf("a small transaction tells nothing, but there is room for %d rows", n)
	}
	for range 100 {
		db.pace.took(db.Room(), hold+1, hold)
	}
	if n := db.Room(); n != leastRoom {
		t.Errorf("a slow store has room for %d rows", n)
	}
}
