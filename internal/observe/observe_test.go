package observe

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"mcpgateway/internal/mcp"
)

func handle(level slog.Level, reply *mcp.Reply, err error) (logged string, got *mcp.Reply, gotErr error) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
	c := &mcp.Call{
		Method: mcp.ToolsCall, From: &mcp.Caller{Principal: "alice"}, Target: mcp.Target{Server: "s", Canonical: "s.t"},
		Params: mcp.Params{Raw: []byte(`{"arguments":"secret argument"}`)},
	}
	next := mcp.HandlerFunc(func(context.Context, *mcp.Call) (*mcp.Reply, error) { return reply, err })
	got, gotErr = New(log, next).Handle(context.Background(), c)
	return out.String(), got, gotErr
}

// TestCallsAreRecordedOnce at debug, with who and what, never with arguments or results.
func TestCallsAreRecordedOnce(t *testing.T) {
	reply := &mcp.Reply{Result: []byte(`{"x":"secret result"}`)}
	logged, got, err := handle(slog.LevelDebug, reply, nil)
	if got != reply || err != nil {
		t.Errorf("the frame changed the outcome: %v, %v", got, err)
	}
	if strings.Count(logged, "\n") != 1 || strings.Contains(logged, "secret") {
		t.Errorf("logged %s", logged)
	}
	for _, part := range []string{"server=s", "tool=s.t", "method=tools/call", "who=alice", "took="} {
		if !strings.Contains(logged, part) {
			t.Errorf("%s is not in %s", part, logged)
		}
	}
	if logged, _, _ := handle(slog.LevelInfo, reply, nil); logged != "" {
		t.Errorf("at info: %s", logged)
	}
}

// TestFaultsAreTold to the operator, with what the caller is not told; a server's own
// error, a refusal and a caller who left are no faults.
func TestFaultsAreTold(t *testing.T) {
	fault := &mcp.Error{Code: mcp.Unavailable, Message: "the connection was lost", Err: errors.New("read: reset by peer")}
	logged, _, err := handle(slog.LevelInfo, nil, fault)
	if err != error(fault) || strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "level=WARN") || !strings.Contains(logged, "reset by peer") {
		t.Errorf("logged %s", logged)
	}
	for _, err := range []error{&mcp.Remote{Raw: []byte(`{"message":"secret"}`)}, mcp.Errorf(mcp.InvalidParams, "r", "m"), context.Canceled} {
		if logged, _, _ := handle(slog.LevelInfo, nil, err); logged != "" {
			t.Errorf("%v: logged %s", err, logged)
		}
	}
}
