package stdio

import (
	"fmt"
	"time"
)

// The stop sequence (2026-07-28, stdio, Shutdown): stdin is closed, then TERM, then KILL.
// It takes at most stopBound.
const (
	stdinWait = 2 * time.Second // for the server to exit by itself
	termWait  = 3 * time.Second // for the whole tree to obey TERM
	// orphanWait is what descendants get after TERM once their server is gone: nobody
	// needs them any more.
	orphanWait = time.Second
	stopBound  = 6*time.Second - 200*time.Millisecond
)

// stopTree ends the server and everything it started. The server may have ended already.
func (c *conn) stopTree() error {
	begin := time.Now()
	c.tree.look() // while it is known who started whom
	c.stdin.Close()
	select {
	case <-c.exited:
	case <-time.After(stdinWait):
	}
	if c.tree.gone() {
		return nil
	}
	c.tree.terminate()
	if c.awaitTree(begin.Add(stdinWait+termWait), orphanWait) {
		return nil
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		c.tree.kill() // again and again: what is killed may just have forked
		time.Sleep(pause)
		if c.tree.gone() {
			return nil
		}
		if time.Since(begin) > stopBound {
			err := fmt.Errorf("processes %v could not be ended", c.tree.look())
			c.dialer.p.Log.Error("stop the server", "err", err)
			return err
		}
	}
}

// awaitTree waits until the tree is gone, at longest until limit, and at longest for
// orphans once the server itself is gone.
func (c *conn) awaitTree(limit time.Time, orphans time.Duration) bool {
	select {
	case <-c.exited:
	case <-time.After(time.Until(limit)):
		return false
	}
	if t := time.Now().Add(orphans); t.Before(limit) {
		limit = t
	}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if c.tree.gone() {
			return true
		}
		if !time.Now().Add(pause).Before(limit) {
			return false
		}
		time.Sleep(pause)
	}
}
