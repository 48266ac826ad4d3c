package quota

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/mcp"
)

func TestBothBoundsHold(t *testing.T) {
	q := New(2, 3)
	take := func(principal string, want error) {
		t.Helper()
		if err := q.Take(principal); !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", principal, err, want)
		}
	}
	take("a", nil)
	take("a", nil)
	take("a", ErrOwn)
	take("b", nil)
	take("b", ErrAll)
	take("c", ErrAll)
	q.Give("a")
	take("b", nil)
	if q.Open() != 3 {
		t.Errorf("%d are open", q.Open())
	}
	for range 3 {
		q.Give("b")
		if len(q.held) == 0 {
			break
		}
	}
}

// TestLocalIsEverybody: where nobody is authenticated only the bound on all holds.
func TestLocalIsEverybody(t *testing.T) {
	q := New(1, 3)
	for range 3 {
		if err := q.Take(mcp.Local); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Take(mcp.Local); !errors.Is(err, ErrAll) {
		t.Fatal(err)
	}
}

func TestWaitEndsWithTheLastPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(9, 9)
		q.Wait(t.Context()) // nothing is open
		for _, p := range []string{"a", "b"} {
			if err := q.Take(p); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		time.AfterFunc(time.Second, func() { q.Give("a") })
		time.AfterFunc(3*time.Second, func() { q.Give("b") })
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		q.Wait(ctx)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("ended by its context after %s", took)
		}
		q.Wait(t.Context())
		if took := time.Since(began); took != 3*time.Second || q.Open() != 0 {
			t.Errorf("ended after %s with %d open", took, q.Open())
		}
	})
}
