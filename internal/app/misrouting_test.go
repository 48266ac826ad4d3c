package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcpgateway/internal/gatetest"
)

// callCount is how many calls TestNoCallIsMisrouted makes; MCPGW_CALLS says otherwise.
func callCount(t testing.TB) int {
	t.Helper()
	if given := os.Getenv("MCPGW_CALLS"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 {
			t.Fatalf("MCPGW_CALLS is %q; it must be a number of calls", given)
		}
		return n
	}
	if testing.Short() {
		return 5_000
	}
	return 50_000
}

// 50 clients, who all number their requests from 1, call one server that answers in any
// order. Each call has a nonce; whoever gets another's answer sees it.
func TestNoCallIsMisrouted(t *testing.T) {
	const clients, each = 50, 4 // calls in flight: 50 × 4
	total := callCount(t)
	g := startAt(t, slog.LevelInfo, servers("shared", stdio("echo", false))).ready()
	var ids [clients]atomic.Int64 // the last id of each client
	var right, wrong, lost, made atomic.Int64
	all := make([]gatetest.Client, clients)
	for i := range all {
		all[i] = dial(t, g.url, i)
	}
	began := time.Now()
	var running sync.WaitGroup
	for i, c := range all {
		for w := range each {
			running.Go(func() {
				for n := 0; made.Add(1) <= int64(total); n++ {
					nonce := fmt.Sprintf("%d/%d/%d", i, w, n)
					ctx, cancel := context.WithTimeout(t.Context(), startTime)
					p := c.Start("tools/call", `{"name":"shared.nonce","arguments":{"nonce":"`+nonce+`"}}`)
					a, err := p.Wait(ctx)
					cancel()
					if id, _ := strconv.ParseInt(p.ID, 10, 64); id > ids[i].Load() {
						ids[i].Store(id)
					}
					switch {
					case err != nil || a.Result == nil:
						if lost.Add(1) < 5 {
							t.Errorf("%s: %v, %+v", nonce, err, a)
						}
					case gatetest.FirstText(a) != nonce:
						if wrong.Add(1) < 5 {
							t.Errorf("%s got the answer of %s", nonce, gatetest.FirstText(a))
						}
					default:
						right.Add(1)
					}
				}
			})
		}
	}
	running.Wait()
	took := time.Since(began)
	t.Logf("%d calls in %s, %.0f a second", total, took.Round(time.Millisecond), float64(total)/took.Seconds())
	if right.Load() != int64(total) || wrong.Load() != 0 || lost.Load() != 0 {
		t.Errorf("of %d calls %d were right, %d misrouted, %d lost", total, right.Load(), wrong.Load(), lost.Load())
	}
	for i, c := range all {
		if ids[i].Load() < int64(total/clients/4) {
			t.Errorf("client %d came to id %d only; the ids did not overlap", i, ids[i].Load())
		}
		noStray(t, c) // nothing twice, nothing of a stranger
	}
}
