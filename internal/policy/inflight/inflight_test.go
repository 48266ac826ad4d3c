package inflight

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/quota"
)

func call(who string) *mcp.Call { return &mcp.Call{From: &mcp.Caller{Principal: who}} }

func reasonOf(err error) string {
	var e *mcp.Error
	if !errors.As(err, &e) || e.Code != mcp.Overloaded {
		return ""
	}
	return e.Reason
}

// held makes n calls of one caller that go on until release is closed.
func held(t *testing.T, h mcp.Handler, who string, n int) <-chan error {
	t.Helper()
	out := make(chan error, n)
	for range n {
		go func() {
			_, err := h.Handle(context.Background(), call(who))
			out <- err
		}()
	}
	synctest.Wait()
	return out
}

func blocking(b *quota.Quota) (h mcp.Handler, release chan struct{}) {
	release = make(chan struct{})
	return New(b)(mcp.HandlerFunc(func(context.Context, *mcp.Call) (*mcp.Reply, error) { <-release; return &mcp.Reply{}, nil })), release
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, release := blocking(quota.New(2, 5))
		began := time.Now()
		alice := held(t, h, "alice", 2)
		if reason := reasonOf(<-held(t, h, "alice", 1)); reason != "too_many_calls" {
			t.Errorf("a third call of alice: %q", reason)
		}
		bob := held(t, h, "bob", 2)
		carol := held(t, h, "carol", 1)
		if reason := reasonOf(<-held(t, h, "dora", 1)); reason != "overloaded" {
			t.Errorf("a sixth call: %q", reason)
		}
		if time.Since(began) != 0 {
			t.Error("a refusal waited")
		}
		close(release)
		for _, out := range []<-chan error{alice, alice, bob, bob, carol} {
			if err := <-out; err != nil {
				t.Error(err)
			}
		}
		if _, err := h.Handle(t.Context(), call("alice")); err != nil {
			t.Error(err)
		}
	})
}

// TestLocalHasTheBoundOfAll: without authentication all are one.
func TestLocalHasTheBoundOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, release := blocking(quota.New(1, 3))
		out := held(t, h, mcp.Local, 3)
		if reason := reasonOf(<-held(t, h, mcp.Local, 1)); reason != "overloaded" {
			t.Errorf("a fourth call: %q", reason)
		}
		close(release)
		for range 3 {
			if err := <-out; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestPlacesAreGivenBack however a call ends.
func TestPlacesAreGivenBack(t *testing.T) {
	b := quota.New(3, 10)
	h := New(b)(mcp.HandlerFunc(func(ctx context.Context, _ *mcp.Call) (*mcp.Reply, error) {
		switch rand.IntN(3) {
		case 0:
			return nil, errors.New("no")
		case 1:
			panic("a fault of a handler")
		}
		return &mcp.Reply{}, ctx.Err()
	}))
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			defer func() { _ = recover() }()
			_, _ = h.Handle(t.Context(), call(strconv.Itoa(i%7)))
		})
	}
	wg.Wait()
	if b.Open() != 0 {
		t.Errorf("%d in flight", b.Open())
	}
	for range 3 { // each caller's own places are back too
		if err := b.Take("1"); err != nil {
			t.Error(err)
		}
	}
}
