package era

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
)

func TestRender(t *testing.T) {
	for _, tt := range []struct {
		err    error
		object string
		status int
	}{
		{mcp.Errorf(mcp.Malformed, "syntax", "bad"), `{"code":-32700,"message":"bad","data":{"reason":"syntax"}}`, http.StatusBadRequest},
		{mcp.Errorf(mcp.InvalidRequest, "", "bad"), `{"code":-32600,"message":"bad"}`, http.StatusBadRequest},
		{mcp.Errorf(mcp.UnknownMethod, "method", "x"), `{"code":-32601,"message":"x","data":{"reason":"method"}}`, http.StatusOK},
		{mcp.Errorf(mcp.InvalidParams, "params", "x"), `{"code":-32602,"message":"x","data":{"reason":"params"}}`, http.StatusOK},
		{mcp.Errorf(mcp.Unavailable, "server_down", `say "x"`), `{"code":-32603,"message":"say \"x\"","data":{"reason":"server_down"}}`, http.StatusOK},
		{mcp.Errorf(mcp.TimedOut, "timeout", "x"), `{"code":-32603,"message":"x","data":{"reason":"timeout"}}`, http.StatusOK},
		{mcp.Errorf(mcp.Overloaded, "overloaded", "x"), `{"code":-32603,"message":"x","data":{"reason":"overloaded"}}`, http.StatusServiceUnavailable},
		{fmt.Errorf("in: %w", &mcp.Error{Code: mcp.Internal, Reason: "r", Message: "m", Err: errors.New("secret")}), `{"code":-32603,"message":"m","data":{"reason":"r"}}`, http.StatusOK},
		{errors.New("secret"), `{"code":-32603,"message":"the gateway could not answer","data":{"reason":"internal"}}`, http.StatusOK},
		{fmt.Errorf("x: %w", context.Canceled), `{"code":-32603,"message":"the gateway could not answer","data":{"reason":"canceled"}}`, http.StatusOK},
	} {
		if object, status := Render(tt.err); string(object) != tt.object || status != tt.status {
			t.Errorf("%v is %s with %d", tt.err, object, status)
		}
	}
	for code := mcp.Internal; code <= mcp.MissingCapability; code++ {
		if numbers[code].number == 0 {
			t.Errorf("code %d has no number", code)
		}
	}
}

// TestRenderStateful: an unknown resource has another number there, and numbers that came later
// are not used.
func TestRenderStateful(t *testing.T) {
	missing := &mcp.Error{Code: mcp.NotFound, Reason: "unknown_resource", Message: "x", Data: []byte(`{"uri":"x:1"}`)}
	const data = `"message":"x","data":{"uri":"x:1","reason":"unknown_resource"}}`
	if object, status := Render(missing); string(object) != `{"code":-32602,`+data || status != http.StatusOK {
		t.Errorf("%s with %d", object, status)
	}
	for code, number := range map[mcp.Code]int{mcp.NotFound: -32002, mcp.HeaderMismatch: -32603, mcp.MissingCapability: -32603, mcp.InvalidParams: -32602, mcp.UnknownMethod: -32601} {
		missing.Code = code
		if object, _ := RenderStateful(missing); string(object) != fmt.Sprintf(`{"code":%d,`, number)+data {
			t.Errorf("code %d is %s", code, object)
		}
	}
}

func TestRefuseIsAClientError(t *testing.T) {
	for line, want := range map[string]string{
		`{`: `{"jsonrpc":"2.0","error":{"code":-32700,`,
		`{"jsonrpc":"2.0","id":7,"method":"m","params":[]}`: `{"jsonrpc":"2.0","id":7,"error":{"code":-32602,`,
		`{"jsonrpc":"1.0","id":"a","method":"m"}`:           `{"jsonrpc":"2.0","id":"a","error":{"code":-32600,`,
		`[]`: `{"jsonrpc":"2.0","error":{"code":-32600,`,
	} {
		_, err := jsonrpc.Parse([]byte(line), jsonrpc.ClientLimits)
		own, id := FromParse(err)
		if a := Refuse(own, id); a.Status != http.StatusBadRequest || !strings.HasPrefix(string(a.Body), want) {
			t.Errorf("%s is answered %d %s", line, a.Status, a.Body)
		}
	}
	if own, id := FromParse(errors.New("x")); own.Code != mcp.InvalidRequest || id != nil {
		t.Errorf("%v, %s", own, id)
	}
}

// TestRefusalsNameTheSetting: whoever sent too much finds the bound to raise.
func TestRefusalsNameTheSetting(t *testing.T) {
	l := jsonrpc.ClientLimits
	l.Depth, l.Tokens = 3, 12
	for line, want := range map[string]string{
		`{"a":[[[1]]]}`:                      "nested deeper than 3 at byte 7 (the bound is gateway.limits.depth)",
		`{"a":[1,2,3,4,5,6,7,8,9,10,11,12]}`: "(the bound is gateway.limits.requestTokens)",
		`{"a":`:                              "the JSON ends too early at byte 5",
	} {
		_, err := jsonrpc.Parse([]byte(line), l)
		if own, _ := FromParse(err); !strings.HasSuffix(own.Message, want) {
			t.Errorf("%s: %s", line, own.Message)
		}
	}
}

// TestMembersAreFoundAgain: each message says in which part of the message its offset counts.
func TestMembersAreFoundAgain(t *testing.T) {
	for params, want := range map[string]string{
		`{"uri":"a","name":1,"name":2}`: `two members named "name" at byte 20 of params`,
		`{"Name":1}`:                    `member "Name" resembles "name" at byte 1 of params`,
		`{"_meta":{"a":1,"a":2}}`:       `two members named "a" at byte 7 of params._meta`,
		`{"ref":{"type":"ref/prompt","name":"p","name":"q"}}`: `two members named "name" at byte 32 of params.ref`,
	} {
		if _, bad := NewCall(&jsonrpc.Message{Kind: jsonrpc.Request, Method: mcp.Completion, Params: []byte(params)}); bad == nil || bad.Message != want {
			t.Errorf("%s: %v", params, bad)
		}
	}
}

func TestAsRemote(t *testing.T) {
	remote := &mcp.Remote{Number: 1}
	if AsRemote(fmt.Errorf("x: %w", remote)) != remote || AsRemote(errors.New("x")) != nil || AsRemote(nil) != nil {
		t.Error("a server's own error is found")
	}
	if AsRemote(&mcp.Error{Err: remote}) != nil {
		t.Error("an error of ours that a server's caused is ours")
	}
}

func TestHeaderValues(t *testing.T) {
	for _, v := range []string{"tool", "a b", "a\tb", "übung", "", " a", "a ", "a\r\nX: y", "\x00", "=?base64?x?=", "=?base64??=", "=?base64?", "😀", "\xff", "~", "\x7f"} {
		enc := EncodeHeader(v)
		for i := range len(enc) {
			if c := enc[i]; (c < ' ' && c != '\t') || c > '~' {
				t.Errorf("%q is encoded as %q", v, enc)
			}
		}
		if got, ok := DecodeHeader(enc); !ok || got != v {
			t.Errorf("%q comes back as %q, %v", v, got, ok)
		}
	}
	for _, v := range []string{"=?base64?!?=", "=?base64?YQ?=", "a\nb", "é", "\x00", "=?base64?YQ==\n?="} {
		if got, ok := DecodeHeader(v); ok {
			t.Errorf("%q is read as %q", v, got)
		}
	}
}
