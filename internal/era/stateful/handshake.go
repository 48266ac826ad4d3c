package stateful

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

// reopenTime is for the handshake of a new session.
const reopenTime = 30 * time.Second

func (o *Outbound) handshake(ctx context.Context) error {
	id := o.link.NextID()
	params := rawjson.AppendText([]byte(`{"protocolVersion":`), era.Newest(false).Date)
	params = append(append(params, `,"capabilities":`...), o.p.Capabilities...)
	params = append(append(params, `,"clientInfo":`...), o.p.Self...)
	params = append(params, '}')
	if via := era.Via(nil, o.p.Via); via != nil {
		params = rawjson.AppendEdited(nil, params, rawjson.Edit{Key: "_meta", Value: era.CleanMeta(nil, via...)})
	}
	m := transport.Message{ID: id, Body: jsonrpc.AppendRequest(nil, id, mcp.Initialize, params), Opens: true}
	answer, err := o.link.Conn.Do(ctx, m, o.aside())
	result, err := era.ReadAnswer(answer, err)
	if err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	if err := o.read(result); err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	done := transport.Message{Body: jsonrpc.AppendNotification(nil, mcp.NoteInitialized, nil), Header: o.link.Header}
	if err := o.link.Conn.Send(ctx, done); err != nil {
		return fmt.Errorf("initialized: %w", err)
	}
	o.session.Add(1)
	o.link.Conn.Listen()
	return nil
}

func (o *Outbound) read(result []byte) error {
	date, _ := rawjson.Text(rawjson.Get(result, "protocolVersion"))
	revision, ok := era.Find(date)
	if !ok || revision.Stateless {
		return fmt.Errorf("the server wants revision %.40q, which the gateway does not speak after initialize", date)
	}
	info := era.Info{Revision: date}
	if self := rawjson.Get(result, "serverInfo"); self != nil && self[0] == '{' {
		info.ServerInfo = self
	}
	info.Instructions, _ = rawjson.Text(rawjson.Get(result, "instructions"))
	info.ReadCapabilities(rawjson.Get(result, "capabilities"))
	if o.session.Load() == 0 { // the first handshake; another one of the same server changes nothing
		o.info = info
		o.tasks.read(info.Capabilities)
		if revision.Header {
			o.link.Header = []transport.Header{{Name: era.HeaderVersion, Value: date}}
		}
		o.revision.Store(&revision)
	}
	return nil
}

// round is one request and its answer. Where an HTTP server has forgotten our session it
// did not run the request, so it is sent once more in a new session (2025-11-25,
// transports, Session Management, 4).
func (o *Outbound) round(ctx context.Context, id []byte, method string, params []byte, on func(*jsonrpc.Message)) ([]byte, error) {
	if err := o.lock(ctx); err != nil {
		return nil, err
	}
	session, torn := o.session.Load(), o.torn
	o.unlock()
	if torn {
		if err := o.reopen(ctx, session); err != nil {
			return nil, err
		}
	}
	if on == nil {
		on = o.aside()
	}
	o.calls.Sends(id)
	result, err := o.link.Round(ctx, id, method, params, o.link.Header, on)
	var status *transport.Status
	if !errors.As(err, &status) || !status.Session {
		return result, err
	}
	if status.Code != http.StatusNotFound {
		return nil, ownRefusal(status, err)
	}
	if err := o.reopen(ctx, session); err != nil {
		return nil, err
	}
	o.calls.Sends(id)
	return o.link.Round(ctx, id, method, params, o.link.Header, on)
}

// ownRefusal tells a refusal of our session from an error of the call. Servers that lost
// their sessions answer 400 with an error that names no request; it says nothing to the
// caller, and that the server is not what it was.
func ownRefusal(status *transport.Status, err error) error {
	if m := status.Message; m != nil && (m.ID == nil || string(m.ID) == "null") {
		return &transport.Status{Code: status.Code, Text: "the server refused our session: " + status.Error(), Session: true}
	}
	return err
}

// reopen opens a new session unless another call already has, on the connection's time: a caller
// that leaves tears no session. What the server says to that is no answer to the call.
func (o *Outbound) reopen(ctx context.Context, lost int64) error {
	if err := o.lock(ctx); err != nil {
		return err
	}
	defer o.unlock()
	if o.session.Load() != lost {
		return nil
	}
	ctx, stop := context.WithTimeout(o.asking.ctx, reopenTime)
	defer stop()
	err := o.handshake(ctx)
	if o.torn = err != nil; o.torn {
		return fmt.Errorf("%w: the session is gone, and a new one: %v", transport.ErrClosed, err)
	}
	o.calls.Forget() // what the old session was still doing cannot ask in the new one
	o.level.forget()
	select {
	case o.reopened <- struct{}{}:
	default:
	}
	return nil
}

// lock waits while a session is being opened, or until ctx ends.
func (o *Outbound) lock(ctx context.Context) error {
	select {
	case o.again <- struct{}{}:
		return nil
	case <-ctx.Done():
		return era.Unsent(ctx)
	}
}

func (o *Outbound) unlock() { <-o.again }
