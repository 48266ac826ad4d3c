package stateless

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// filters are what our subscription asks for (2026-07-28, subscriptions, Notification
// Filter), a request each; nil for nothing. One request names so many URIs at most.
func (o *Outbound) filters(uris []string) (out [][]byte) {
	first, rest := uris[:min(len(uris), maxURIs)], uris[min(len(uris), maxURIs):]
	filter := []byte{'{'}
	for _, l := range lists {
		if o.info.Announces[l.kinds[0]] {
			filter = append(rawjson.AppendText(filter, l.field), ":true,"...)
		}
	}
	if len(first) > 0 {
		filter = append(appendTexts(filter, fieldURIs, first), ',')
	}
	if len(filter) == 1 {
		return nil
	}
	filter[len(filter)-1] = '}'
	out = append(out, filter)
	for part := range slices.Chunk(rest, maxURIs) {
		out = append(out, append(appendTexts([]byte{'{'}, fieldURIs, part), '}'))
	}
	return out
}

// appendTexts appends a member whose value is an array of strings.
func appendTexts(dst []byte, key string, texts []string) []byte {
	dst = append(rawjson.AppendText(dst, key), ':', '[')
	for i, t := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = rawjson.AppendText(dst, t)
	}
	return append(dst, ']')
}

// A subscription is one listen request of ours, or several that count as one: it stands once
// all are acknowledged, and is over when one has ended.
type subscription struct {
	acknowledged chan struct{} // closed once it is
	missing      atomic.Int64  // requests that are not
	left         [][]string    // by request: the resources that its acknowledgement leaves out
	carried      []string      // sorted: the resources that it is acknowledged with
	ended        chan error    // of room for each: how it ended
	end          context.CancelFunc
	began        time.Time
}

// open begins a subscription, which runs in others.
func (o *Outbound) open(ctx context.Context, filters [][]byte, ear *era.Ear, others *sync.WaitGroup) *subscription {
	held, end := context.WithCancel(ctx)
	s := &subscription{acknowledged: make(chan struct{}), ended: make(chan error, len(filters)), end: end, began: time.Now()}
	s.missing.Store(int64(len(filters)))
	s.left = make([][]string, len(filters))
	for i, filter := range filters {
		id, acknowledged := o.link.NextID(), false
		others.Go(func() {
			err := o.carry(held, s, id, filter, nil, func(m *jsonrpc.Message) {
				switch {
				case m.Method != mcp.NoteAcknowledged:
					ear.Hear(m)
				case !acknowledged:
					acknowledged = true
					s.left[i] = leftOut(filter, m.Params)
					if s.missing.Add(-1) == 0 {
						close(s.acknowledged)
					}
				}
			})
			s.ended <- err // before the others end of it
			end()
		})
	}
	return s
}

// leftOut gives the resources of a filter that its acknowledgement leaves out: the server does not
// tell of them (2026-07-28, subscriptions). One without a filter leaves out none.
func leftOut(filter, acknowledgement []byte) (out []string) {
	agreed := rawjson.Get(acknowledgement, "notifications")
	if !isObject(agreed) {
		return nil
	}
	honoured := map[string]bool{}
	for uri := range texts(agreed, fieldURIs) {
		honoured[uri] = true
	}
	for uri := range texts(filter, fieldURIs) {
		if !honoured[uri] {
			out = append(out, uri)
		}
	}
	return out
}

// texts gives the strings of a member that is an array.
func texts(object []byte, field string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for one := range rawjson.Elements(rawjson.Get(object, field)) {
			if text, ok := rawjson.Text(one); ok && !yield(text) {
				return
			}
		}
	}
}

// errNotHonoured is for a resource that the server left out.
var errNotHonoured = mcp.Errorf(mcp.InvalidParams, "subscribe", "the server does not tell when this resource changes")

// readAcknowledged notes which of the resources it is acknowledged with, and gives the others.
func (s *subscription) readAcknowledged(uris []string) era.Unwatched {
	but := unwatched(slices.Concat(s.left...), errNotHonoured)
	for _, uri := range uris {
		if but[uri] == nil {
			s.carried = append(s.carried, uri)
		}
	}
	return but
}

func unwatched(uris []string, why error) era.Unwatched {
	out := era.Unwatched{}
	for _, uri := range uris {
		out[uri] = why
	}
	return out
}

// carry is one listen request, from its sending to its end. A server on a pipe is told when
// we end it.
func (o *Outbound) carry(held context.Context, s *subscription, id, filter, capabilities []byte, on func(*jsonrpc.Message)) error {
	o.watch.mu.Lock()
	o.watch.open[string(id)] = s
	o.watch.mu.Unlock()
	params := append(append([]byte(`{"notifications":`), filter...), '}')
	_, err := o.round(held, id, mcp.SubscriptionsListen, params, capabilities, on)
	o.watch.mu.Lock()
	ours := o.watch.open[string(id)] == s // and not ended by the server
	delete(o.watch.open, string(id))
	o.watch.mu.Unlock()
	if ours && held.Err() != nil && !o.link.Conn.OwnStream() {
		o.link.Cancel(id)
	}
	return err
}
