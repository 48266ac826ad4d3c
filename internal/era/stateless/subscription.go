package stateless

import (
	"context"
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
	ended        chan error    // of room for each: how it ended
	end          context.CancelFunc
	began        time.Time
}

// open begins a subscription, which runs in others.
func (o *Outbound) open(ctx context.Context, filters [][]byte, ear *era.Ear, others *sync.WaitGroup) *subscription {
	held, end := context.WithCancel(ctx)
	s := &subscription{acknowledged: make(chan struct{}), ended: make(chan error, len(filters)), end: end, began: time.Now()}
	s.missing.Store(int64(len(filters)))
	for _, filter := range filters {
		id := o.link.NextID()
		acknowledge := sync.OnceFunc(func() {
			if s.missing.Add(-1) == 0 {
				close(s.acknowledged)
			}
		})
		others.Go(func() {
			err := o.carry(held, s, id, filter, nil, func(m *jsonrpc.Message) {
				if m.Method == mcp.NoteAcknowledged {
					acknowledge()
				} else {
					ear.Hear(m)
				}
			})
			end()
			s.ended <- err
		})
	}
	return s
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
