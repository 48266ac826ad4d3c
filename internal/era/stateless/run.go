package stateless

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// A run is one call that may ask, from the request that began it to the retry that takes its
// result. It is carried by one request at a time; between two it is parked. As the Back of
// the call it tells whoever carries it now.
type run struct {
	lot    *lot
	call   *mcp.Call
	cancel context.CancelFunc
	ended  chan struct{} // closed once the handler has returned
	asked  chan struct{} // yields when there may be questions to hand out

	mu       sync.Mutex
	carrier  *carrier    // guarded by mu: nil while parked
	from     *mcp.Caller // guarded by mu: as the newest request has it
	finished bool        // guarded by mu: reply and err are there
	gone     bool        // guarded by mu: nobody will take them any more
	id       uint64      // guarded by mu: in the lot, once parked
	round    uint64      // guarded by mu: of the newest state
	request  sum         // guarded by mu: binding of that, once parked
	timer    *time.Timer // guarded by mu: ends a parked call
	keys     int         // guarded by mu: that questions have been given
	open     []*question // guarded by mu: without an answer, in order
	notes    []note      // guarded by mu: kept while parked, in order
	noted    int         // guarded by mu: bytes of notes
	place    bool        // guarded by mu: one of the lot's is taken
	held     int         // guarded by mu: bytes counted in the lot
	reply    *mcp.Reply  // guarded by mu
	err      error       // guarded by mu
}

// A question is one of the server's to the client.
type question struct {
	key, method string
	params      []byte
	answered    chan answer // of room for one
}

type answer struct {
	result []byte
	err    error
}

var (
	errOver  = mcp.Errorf(mcp.Internal, "ended", "the call has ended")
	errState = mcp.Errorf(mcp.InvalidParams, "request_state", "the requestState is not valid here: it has expired, was used already, or belongs to another request; call again without it")
)

// Ask puts a question to the client: the request that carries the call is answered with it,
// and its retry brings the answer.
func (r *run) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	q := &question{method: method, params: cleanQuestion(method, params), answered: make(chan answer, 1)}
	if err := r.put(q); err != nil {
		return nil, err
	}
	timer := time.NewTimer(r.lot.question)
	defer timer.Stop()
	var err error
	select {
	case a := <-q.answered:
		return a.result, a.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = mcp.Errorf(mcp.TimedOut, "question", "the client did not answer within %s", r.lot.question)
	}
	if !r.withdraw(q) { // it was answered at that moment
		a := <-q.answered
		return a.result, a.err
	}
	return nil, err
}

// put opens a question.
func (r *run) put(q *question) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished || r.gone {
		return errOver
	}
	if refusal := r.mayAsk(q); refusal != nil {
		return refusal
	}
	if len(r.open) >= maxQuestions {
		return errFull
	}
	bytes := len(q.params)
	if !r.place {
		if err := r.lot.take(r.call.From.Principal); err != nil {
			return err
		}
		r.place = true
		bytes += len(r.call.Params.Raw)
	}
	if !r.hold(bytes) {
		r.settleDown()
		return errFull
	}
	r.keys++
	q.key = "q" + strconv.Itoa(r.keys)
	r.open = append(r.open, q)
	r.wake()
	return nil
}

// mayAsk holds a question against what the newest request declared, since each speaks for
// itself (2026-07-28, basic, Per-request protocol fields).
func (r *run) mayAsk(q *question) *mcp.Error {
	return era.MayAsk(r.from.Capabilities, q.method, q.params)
}

// withdraw closes a question without an answer. It is false where it has one.
func (r *run) withdraw(q *question) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.open, q)
	if i < 0 {
		return false
	}
	r.settle(i, answer{})
	r.settleDown()
	return true
}

// settle closes the question with this index.
func (r *run) settle(i int, a answer) {
	q := r.open[i]
	r.open = slices.Delete(r.open, i, i+1)
	r.hold(-len(q.params))
	q.answered <- a
}

func (r *run) settleAll(err error) {
	for len(r.open) > 0 {
		r.settle(0, answer{err: err})
	}
}

// park hands out what is open: the request that carries the call now will be answered with
// it. It is false where nothing is open. Once the lot drains nobody would bring the answers:
// the questions then end as those do that come later.
func (r *run) park() (open []*question, st state, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || len(r.open) == 0 {
		return nil, state{}, false
	}
	if !r.lot.enter(r) {
		r.settleAll(errClosing)
		r.settleDown()
		return nil, state{}, false
	}
	if r.round == 0 {
		r.request = binding(r.call, true)
	}
	r.round++
	r.carrier = nil
	wait, round := r.lot.question+lingerTime, r.round
	r.timer = time.AfterFunc(wait, func() { r.abandonParked(round) })
	st = state{kind: stateParked, expires: time.Now().Add(wait), request: r.request, call: r.id, round: round}
	return slices.Clone(r.open), st, true
}

// resume has k carry the call from now on, and gives it what was kept and the answers that it
// brings. Questions that it does not answer, and new ones, will be handed out again.
func (r *run) resume(k *carrier, round uint64, responses []byte) *mcp.Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || r.carrier != nil || r.round != round {
		return errState
	}
	given := make([][]byte, len(r.open))
	for i, q := range r.open {
		given[i] = property(responses, q.key)
		if given[i] != nil && given[i][0] != '{' {
			return mcp.Errorf(mcp.InvalidParams, "params", `each of "inputResponses" must be an object`)
		}
	}
	r.timer.Stop()
	r.carrier, r.from = k, k.from
	for _, n := range r.notes {
		k.tell(n.method, n.params)
	}
	r.hold(-r.noted)
	r.notes, r.noted = nil, 0
	for i := len(given) - 1; i >= 0; i-- {
		if given[i] != nil {
			r.settle(i, answer{result: given[i]})
		} else if refusal := r.mayAsk(r.open[i]); refusal != nil {
			r.settle(i, answer{err: refusal})
		}
	}
	if len(r.open) > 0 {
		r.wake()
	}
	r.settleDown()
	return nil
}

// abandon ends the call, since its client has gone.
func (r *run) abandon() {
	r.mu.Lock()
	r.end()
	r.mu.Unlock()
	r.cancel()
}

// abandonParked ends the call if it is still parked in that round, or in any for 0.
func (r *run) abandonParked(round uint64) {
	r.mu.Lock()
	still := r.carrier == nil && (round == 0 || round == r.round)
	if still {
		r.end()
	}
	r.mu.Unlock()
	if still {
		r.cancel()
	}
}

// end lets go of all that the call holds.
func (r *run) end() {
	r.gone = true
	r.settleAll(errOver)
	r.notes, r.noted = nil, 0
	if r.timer != nil {
		r.timer.Stop()
	}
	if r.id != 0 {
		r.lot.leave(r.id)
	}
	r.settleDown()
}

// finish takes the outcome. Of a parked call it waits for the retry.
func (r *run) finish(reply *mcp.Reply, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settleAll(errOver)
	if r.carrier == nil && !r.gone {
		size := 0
		if reply != nil {
			size = len(reply.Result)
		} else if remote := era.AsRemote(err); remote != nil {
			size = len(remote.Raw)
		}
		if size > maxKept || !r.hold(size) {
			reply, err = nil, mcp.Errorf(mcp.Internal, "parked", "the result came while the call waited for its client, and was too large to be kept")
		}
	}
	r.finished, r.reply, r.err = true, reply, err
	close(r.ended)
}

// outcome gives the finished call's answer to the request that carries it.
func (r *run) outcome() (*mcp.Reply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end()
	return r.reply, r.err
}

// now is who asks, as the newest request has it.
func (r *run) now() *mcp.Caller {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from
}

// settleDown gives the place back where the call is not parked and will not be. Everything
// below is called with mu held.
func (r *run) settleDown() {
	if len(r.open) > 0 || r.carrier == nil && !r.gone {
		return
	}
	if r.place {
		r.place = false
		r.lot.give(r.call.From.Principal)
	}
	r.hold(-r.held)
}

func (r *run) hold(n int) bool {
	if n == 0 {
		return true
	}
	if !r.lot.hold(n) {
		return false
	}
	r.held += n
	return true
}

func (r *run) wake() {
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// cleanQuestion takes out of a question what speaks of the hop it came over, and the id of an
// elicitation, which this era does not have.
func cleanQuestion(method string, params []byte) []byte {
	if method != mcp.Elicit {
		return era.CleanResult(params)
	}
	return era.CleanResult(params, mcp.MemberElicitationID)
}
