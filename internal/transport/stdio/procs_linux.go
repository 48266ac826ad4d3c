package stdio

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is what /proc tells of one.
type process struct {
	pid, parent, group, session int

	start    uint64 // with the pid, names a process for good
	dead     bool   // a zombie: it only waits to be reaped
	run      string // value of runMark in its environment
	instance string // value of instanceMark there
}

// snapshots gives the processes of the machine to all who ask at about the same time, so
// that stopping hundreds of servers reads /proc a few times, not hundreds of times.
type snapshots struct {
	mu    sync.Mutex
	taken time.Time       // guarded by mu: when the last reading began
	last  map[int]process // guarded by mu; the map itself never changes
	read  func() map[int]process
}

// processes is the one variable of the package that changes, and only a cache: every
// reader gets a snapshot that was begun after it asked.
var processes = &snapshots{read: readProcesses}

func (s *snapshots) since(t time.Time) map[int]process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.taken.Before(t) {
		s.taken = time.Now()
		s.last = s.read()
	}
	return s.last
}

func readProcesses() map[int]process {
	all := map[int]process{}
	dir, err := os.Open("/proc")
	if err != nil {
		return all
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var buf []byte
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		buf = slurp("/proc/"+name+"/stat", buf)
		p, ok := parseStat(buf)
		if !ok || p.pid != pid || p.parent == 2 || pid == 2 { // 2 is the kernel's own
			continue
		}
		if !p.dead {
			buf = slurp("/proc/"+name+"/environ", buf)
			p.run, p.instance = variable(buf, runMark), variable(buf, instanceMark)
		}
		all[pid] = p
	}
	return all
}

// readProcess looks at one process only; its marks are left out.
func readProcess(pid int) (process, bool) {
	return parseStat(slurp("/proc/"+strconv.Itoa(pid)+"/stat", nil))
}

// parseStat reads /proc/PID/stat. The name in it is in parentheses and may hold anything.
func parseStat(stat []byte) (process, bool) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 2 || end < open {
		return process{}, false
	}
	pid, err := strconv.Atoi(string(stat[:open-1]))
	f := strings.Fields(string(stat[end+1:]))
	if err != nil || len(f) < 20 {
		return process{}, false
	}
	p := process{pid: pid, dead: f[0] == "Z" || f[0] == "X"}
	p.parent, _ = strconv.Atoi(f[1])
	p.group, _ = strconv.Atoi(f[2])
	p.session, _ = strconv.Atoi(f[3])
	p.start, _ = strconv.ParseUint(f[19], 10, 64)
	return p, true
}

// variable finds NAME=value among strings that each end in NUL.
func variable(environ []byte, name string) string {
	for kv := range bytes.SplitSeq(environ, []byte{0}) {
		if len(kv) > len(name) && kv[len(name)] == '=' && string(kv[:len(name)]) == name {
			return string(kv[len(name)+1:])
		}
	}
	return ""
}

// slurp reads a file of /proc into buf, with fewer system calls than os.ReadFile; what
// cannot be read is empty.
func slurp(path string, buf []byte) []byte {
	buf = buf[:0]
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return buf
	}
	defer syscall.Close(fd)
	for {
		if cap(buf)-len(buf) < 4<<10 {
			buf = append(buf, make([]byte, 8<<10+len(buf))...)[:len(buf)]
		}
		n, err := syscall.Read(fd, buf[len(buf):cap(buf)])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return buf
		}
		buf = buf[:len(buf)+n]
	}
}

// marked tells whether id stands in the path that a mark holds.
func marked(value, id string) bool {
	for part := range strings.SplitSeq(value, "/") {
		if part == id {
			return id != "" // what bears no mark is nobody's
		}
	}
	return false
}

// members gives all that seed picks, whatever descends from them as long as the parents
// live, and whatever is in a session or a group that one of them leads. Process 1 and we
// ourselves are never among them.
func members(all map[int]process, seed func(process) bool) map[int]process {
	in := map[int]process{}
	add := func(p process) {
		if p.pid > 1 && p.pid != os.Getpid() {
			in[p.pid] = p
		}
	}
	for _, p := range all {
		if seed(p) {
			add(p)
		}
	}
	if len(in) == 0 {
		return in
	}
	for before := -1; before != len(in); {
		before = len(in)
		for pid, p := range all {
			if _, known := in[pid]; known {
				continue
			}
			for _, of := range [...]int{p.parent, p.group, p.session} {
				if _, ours := in[of]; ours {
					add(p)
					break
				}
			}
		}
	}
	return in
}

// signalOne sends a signal to exactly this process. A number may have been given to another
// process meanwhile; what os.FindProcess holds may not (it is a pidfd), so looking again
// after it is enough.
func signalOne(p process, sig syscall.Signal) {
	handle, err := os.FindProcess(p.pid)
	if err != nil {
		return
	}
	defer handle.Release()
	if now, ok := readProcess(p.pid); ok && now.start == p.start {
		handle.Signal(sig)
	}
}
