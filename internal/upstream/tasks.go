package upstream

import (
	"context"
	"slices"
	"sync"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Bounds of following tasks.
const (
	maxFollows = 256 // subscriptions at one server
	minFollow  = time.Second
	maxFollow  = time.Minute
	longFollow = 10 * time.Second
	stateTime  = 10 * time.Second // to ask for the state of one
)

// A follow has one client told how tasks of this server change, for as long as it likes,
// through the loss of connections.
type follow struct {
	s     *Server
	from  *mcp.Caller
	told  func(task string, params []byte)
	first chan []string // holds one: what the server agreed to at first

	mu    sync.Mutex
	tasks []string       // guarded by mu: that are followed, and may still change
	began bool           // guarded by mu: the server has agreed once
	heard map[string]int // guarded by mu: how often each was told of
}

// FollowTasks has told called with each change of tasks of this server, for a caller that
// declared the extension, until stop is called. told must not block. agreed waits for what the
// server agrees to, until its ctx ends.
func (s *Server) FollowTasks(from *mcp.Caller, tasks []string, told func(task string, params []byte)) (agreed func(ctx context.Context) []string, stop func()) {
	f := &follow{s: s, from: from, told: told, first: make(chan []string, 1), tasks: tasks, heard: map[string]int{}}
	stop = s.clients.follow(f)
	return func(ctx context.Context) []string {
		select {
		case tasks := <-f.first:
			return tasks
		case <-ctx.Done():
			return nil
		}
	}, stop
}

// follow begins to follow where there is room for it.
func (k *clients) follow(f *follow) (stop func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.follows >= maxFollows {
		f.first <- nil
		return func() {}
	}
	k.follows++
	ctx, stop := context.WithCancel(k.ctx)
	k.wg.Go(func() {
		defer stop()
		f.run(ctx)
		k.mu.Lock()
		k.follows--
		k.mu.Unlock()
	})
	return stop
}

// run follows until ctx ends, the server agrees to nothing, or no task may change any more.
func (f *follow) run(ctx context.Context) {
	wait := minFollow
	for {
		began := time.Now()
		if ob, err := f.s.current(); err == nil {
			err = f.once(ctx, ob)
			f.s.p.Log.Debug("tells of tasks no more", "err", err)
		}
		f.mu.Lock()
		first, left := !f.began, len(f.tasks)
		f.mu.Unlock()
		if first {
			f.first <- nil // nobody waits for a second word
			return
		}
		if time.Since(began) > longFollow {
			wait = minFollow
		}
		if left == 0 || !era.Sleep(ctx, wait) {
			return
		}
		wait = min(2*wait, maxFollow)
	}
}

// once follows over one connection until that or the subscription ends.
func (f *follow) once(ctx context.Context, ob era.Outbound) error {
	f.mu.Lock()
	tasks, again := f.tasks, f.began
	f.mu.Unlock()
	ctx, stop := context.WithCancel(ctx)
	agreed := make(chan []string, 1)
	var catching sync.WaitGroup
	defer catching.Wait()
	defer stop()
	if again {
		catching.Go(func() {
			select {
			case tasks := <-agreed:
				f.catchUp(ctx, ob, tasks)
			case <-ctx.Done():
			}
		})
	}
	return ob.Follow(ctx, f.from, tasks, func(tasks []string) {
		if again {
			agreed <- tasks
			return
		}
		f.mu.Lock()
		f.began, f.tasks = true, tasks
		f.mu.Unlock()
		f.first <- tasks
		if len(tasks) == 0 {
			stop()
		}
	}, f.tell)
}

// tell hands on the state of a task.
func (f *follow) tell(task string, params []byte) {
	f.mu.Lock()
	f.heard[task]++
	if over(params) {
		f.tasks = slices.DeleteFunc(slices.Clone(f.tasks), func(t string) bool { return t == task })
	}
	f.mu.Unlock()
	f.told(task, attributedRounds(f.s.nameFor(f.from), params))
}

// over tells whether a task is in a state that it keeps (SEP-2663, Task Status).
func over(task []byte) bool {
	switch string(rawjson.Get(task, "status")) {
	case `"completed"`, `"failed"`, `"cancelled"`:
		return true
	}
	return false
}

// catchUp asks for the state of tasks that may have changed unheard, and tells it, unless
// there was news of them since.
func (f *follow) catchUp(ctx context.Context, ob era.Outbound, tasks []string) {
	for _, task := range tasks {
		f.mu.Lock()
		heard := f.heard[task]
		f.mu.Unlock()
		asking, stop := context.WithTimeout(ctx, stateTime)
		reply, err := ob.Handle(asking, &mcp.Call{
			Method: mcp.TasksGet, From: f.from, Back: noBack{}, Params: mcp.Params{Raw: []byte("{}")},
			Target: mcp.Target{Server: f.s.p.Name, Kind: "task", Canonical: f.s.p.Name, Origin: task},
		})
		stop()
		if err != nil {
			continue
		}
		f.mu.Lock()
		news := heard == f.heard[task]
		f.mu.Unlock()
		if news {
			f.tell(task, era.CleanResult(reply.Result, era.MemberType))
		}
	}
}

// noBack is the Back of a call of our own.
type noBack struct{}

func (noBack) Notify(context.Context, string, []byte) error { return nil }

func (noBack) Ask(context.Context, string, []byte) ([]byte, error) {
	return nil, mcp.Errorf(mcp.UnknownMethod, "capability", "nobody is there to be asked")
}
