package stateful

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

// Outbound speaks with a stateful server.
type Outbound struct {
	link era.Link
	self []byte
	info era.Info

	again    chan struct{} // holds one: whoever put it there may open a session
	session  int           // guarded by again: how often the session was opened
	reopened chan struct{} // holds one: a new session, so that Run lists again

	questions sync.WaitGroup // answers to the server's requests on their way
	room      chan struct{}
}

const (
	maxQuestions = 64               // requests of one server that are being answered; more are dropped
	reopenTime   = 30 * time.Second // for the handshake of a new session
)

// Connect does the handshake of the stateful revisions (2025-11-25, lifecycle,
// Initialization). The connection stays the caller's to close where it fails.
func Connect(ctx context.Context, conn transport.Conn, self []byte) (*Outbound, error) {
	o := &Outbound{link: era.Link{Conn: conn, First: era.FirstStateful}, self: self, room: make(chan struct{}, maxQuestions), again: make(chan struct{}, 1), reopened: make(chan struct{}, 1)}
	if err := o.handshake(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *Outbound) handshake(ctx context.Context) error {
	id := o.link.NextID()
	params := rawjson.AppendText([]byte(`{"protocolVersion":`), era.Newest(false).Date)
	params = append(params, `,"capabilities":{},"clientInfo":`...)
	params = append(append(params, o.self...), '}')
	m := transport.Message{ID: id, Body: jsonrpc.AppendRequest(nil, id, mcp.Initialize, params), Opens: true}
	answer, err := o.link.Conn.Do(ctx, m, nil)
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
	if tools := rawjson.Get(rawjson.Get(result, "capabilities"), "tools"); tools != nil {
		info.HasTools = true
		info.Announces = string(rawjson.Get(tools, "listChanged")) == "true"
	}
	if o.session == 0 { // the first handshake; another one of the same server changes nothing
		o.info = info
		if revision.Header {
			o.link.Header = []transport.Header{{Name: era.HeaderVersion, Value: date}}
		}
	}
	o.session++
	return nil
}

// Info is what the server said in initialize.
func (o *Outbound) Info() era.Info { return o.info }

// Tools lists the server's tools. A server that declares none is not asked.
func (o *Outbound) Tools(ctx context.Context, b era.ListBounds) (*era.Listing, error) {
	if !o.info.HasTools {
		return &era.Listing{}, nil
	}
	l, err := era.Follow(ctx, "tools", b, func(ctx context.Context, cursor []byte) ([]byte, error) {
		var params []byte
		if cursor != nil {
			params = append(append([]byte(`{"cursor":`), cursor...), '}')
		}
		return o.round(ctx, o.link.NextID(), mcp.ToolsList, params, nil)
	})
	if err != nil {
		return nil, err
	}
	l.TTL = 0 // caching hints are not this era's: never acted on
	for i, tool := range l.Tools {
		// The tasks of 2025-11-25 do not cross, so a tool does not speak of them.
		if rawjson.Get(tool, "execution") != nil {
			l.Tools[i] = rawjson.AppendEdited(nil, tool, rawjson.Edit{Key: "execution"})
		}
	}
	return l, nil
}

// Check pings.
func (o *Outbound) Check(ctx context.Context) error {
	_, err := o.round(ctx, o.link.NextID(), mcp.Ping, nil, nil)
	var remote *mcp.Remote
	if errors.As(err, &remote) {
		return nil // an answer of any kind is a sign of life
	}
	return err
}

// Handle sends a call to the server.
func (o *Outbound) Handle(ctx context.Context, c *mcp.Call) (*mcp.Reply, error) {
	if c.From.TakesRounds && rawjson.Get(c.Params.Raw, "requestState") != nil {
		// This server gave none, so that it belongs to another call (2026-07-28, patterns,
		// Multi Round-Trip Requests).
		return nil, mcp.Errorf(mcp.InvalidParams, "request_state", "the requestState is not of this call")
	}
	id := o.link.NextID()
	var token []rawjson.Edit
	if c.Params.ProgressToken != nil {
		token = []rawjson.Edit{{Key: mcp.MetaProgressToken, Value: id}}
	}
	meta := era.CleanMeta(c.Params.Meta, token...)
	result, err := o.round(ctx, id, c.Method, era.CallParams(c, meta), o.during(ctx, c, id))
	if err != nil {
		if ctx.Err() != nil {
			o.link.Cancel(id)
			return nil, ctx.Err()
		}
		return nil, era.Unavailable(c.Target.Server, err)
	}
	return &mcp.Reply{Result: era.CleanResult(result, era.MemberType, era.MemberTTL, era.MemberScope)}, nil
}

// during hears what the server says while a call runs: progress for the caller, and
// questions, which are answered at once since no client capability was declared.
func (o *Outbound) during(ctx context.Context, c *mcp.Call, id []byte) func(*jsonrpc.Message) {
	relay := era.Relay(ctx, c, id)
	if !o.link.Conn.OwnStream() {
		return relay
	}
	return func(m *jsonrpc.Message) {
		if m.Kind == jsonrpc.Request {
			o.answer(ctx, m)
		} else if relay != nil {
			relay(m)
		}
	}
}

// round is one request and its answer. Where an HTTP server has forgotten our session it
// did not run the request, so it is sent once more in a new session (2025-11-25,
// transports, Session Management, 4).
func (o *Outbound) round(ctx context.Context, id []byte, method string, params []byte, on func(*jsonrpc.Message)) ([]byte, error) {
	if err := o.lock(ctx); err != nil {
		return nil, err
	}
	session := o.session
	o.unlock()
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

// reopen opens a new session unless another call already has. What the server says to
// that is no answer to the call.
func (o *Outbound) reopen(ctx context.Context, lost int) error {
	if err := o.lock(ctx); err != nil {
		return err
	}
	defer o.unlock()
	if o.session != lost {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, reopenTime)
	defer stop()
	if err := o.handshake(ctx); err != nil {
		return fmt.Errorf("%w: the session is gone, and a new one: %v", transport.ErrClosed, err)
	}
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
		return ctx.Err()
	}
}

func (o *Outbound) unlock() { <-o.again }

// Run hears the server's notifications and answers its requests until the connection ends.
func (o *Outbound) Run(ctx context.Context, changed func()) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.reopened: // what the server lists may be new as well
			changed()
		case e, open := <-o.link.Conn.Events():
			if !open {
				return o.link.Conn.Err()
			}
			switch {
			case e.Lost:
				changed()
			case e.Message.Kind == jsonrpc.Request:
				o.answer(ctx, e.Message)
			case e.Message.Method == mcp.NoteToolsListChanged:
				changed()
			}
		}
	}
}

// answer answers a request of the server: a ping, or a method that we did not declare. It
// does not wait for the answer to be written, since readers call it.
func (o *Outbound) answer(ctx context.Context, m *jsonrpc.Message) {
	body := jsonrpc.AppendResult(nil, m.ID, []byte("{}"))
	if m.Method != mcp.Ping {
		object, _ := era.Render(mcp.Errorf(mcp.UnknownMethod, "capability", "the gateway declared no capability for %q", m.Method))
		body = jsonrpc.AppendError(nil, m.ID, object)
	}
	select {
	case o.room <- struct{}{}:
	default:
		return
	}
	o.questions.Go(func() {
		defer func() { <-o.room }()
		_ = o.link.Conn.Send(ctx, transport.Message{Body: body, Header: o.link.Header})
	})
}

// Close ends the connection and waits for answers on their way.
func (o *Outbound) Close() error {
	err := o.link.Conn.Close()
	o.questions.Wait()
	return err
}
