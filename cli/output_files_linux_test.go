package cli

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// scoredBytes returns the result of scoring the sample.
func scoredBytes(t *testing.T) string {
	t.Helper()
	status, out, messages := command(t, readSample(t, "telecom_sample.csv"), "score", "--model", "telecom", "-")
	if status != 0 || out == "" {
		t.Fatal(messages)
	}
	return out
}

// scoreTo scores the sample into a file.
func scoreTo(t *testing.T, args ...string) (status int, out, messages string) {
	t.Helper()
	args = append([]string{"score", "--model", "telecom", "-"}, args...)
	return command(t, readSample(t, "telecom_sample.csv"), args...)
}

func mustScore(t *testing.T, args ...string) {
	t.Helper()
	if status, _, messages := scoreTo(t, args...); status != 0 {
		t.Fatalf("%v: status %d: %s", args, status, messages)
	}
}

func wantFile(t *testing.T, name, content string) fs.FileInfo {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil || string(got) != content {
		t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(content), err)
	}
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func wantNames(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("the directory has %q, want %q", got, names)
	}
}

// TestOutputsThatAreNoFiles checks that outputs that are not regular files are written, not replaced: a device (made for
// the test, never the machine's), a pipe, an open descriptor.
func TestOutputsThatAreNoFiles(t *testing.T) {
	dir, want := t.TempDir(), scoredBytes(t)
	null, fifo := filepath.Join(dir, "null"), filepath.Join(dir, "fifo")
	if err := syscall.Mknod(null, syscall.S_IFCHR|0o666, 1<<8|3); err == nil { // root only
		link := filepath.Join(dir, "to-null")
		if err := os.Symlink("null", link); err != nil {
			t.Fatal(err)
		}
		mustScore(t, "--out", null, "--rejects", null, "--summary", link)
		if info, err := os.Lstat(null); err != nil || info.Mode()&fs.ModeCharDevice == 0 {
			t.Fatalf("the device is %v now (%v)", info.Mode(), err)
		}
		if err := errors.Join(os.Remove(null), os.Remove(link)); err != nil {
			t.Fatal(err)
		}
	} else {
		t.Logf("no device can be made here: %v", err)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		got, err := os.ReadFile(fifo)
		read <- string(got)
		if err != nil {
			t.Error(err)
		}
	}()
	mustScore(t, "--out", fifo)
	if got := <-read; got != want {
		t.Errorf("%d bytes came out of the pipe, want %d", len(got), len(want))
	}
	if info, err := os.Lstat(fifo); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		t.Errorf("the pipe is %v now (%v)", info.Mode(), err)
	}
	wantNames(t, dir, "fifo")

	log := filepath.Join(dir, "log")
	if err := os.WriteFile(log, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(log, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := os.Stat("/proc/self/fd"); err == nil {
		mustScore(t, "--out", "/proc/self/fd/"+strconv.Itoa(int(file.Fd())))
		wantFile(t, log, "before\n"+want)
	}
}

// TestOutputsKeepModeAndOwner checks that links are followed, also dangling ones, that a file keeps its mode and owner,
// that a new one obeys the umask, and that no temporary file is left.
func TestOutputsKeepModeAndOwner(t *testing.T) {
	dir, want := t.TempDir(), scoredBytes(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.Mkdir(at("real"), 0o755), os.WriteFile(at("real/old.csv"), []byte("old"), 0o600),
		os.Chmod(at("real/old.csv"), 0o640),
		os.Symlink("real", at("directory")), os.Symlink("directory/old.csv", at("link")),
		os.Symlink("link", at("link-of-link")), os.Symlink("../new.csv", at("real/up")),
	); err != nil {
		t.Fatal(err)
	}
	mustScore(t, "--out", at("link-of-link"))
	for _, link := range []string{"directory", "link", "link-of-link"} {
		if info, err := os.Lstat(at(link)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is %v now (%v)", link, info.Mode(), err)
		}
	}
	if info := wantFile(t, at("real/old.csv"), want); info.Mode() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	before := syscall.Umask(0o077)
	mustScore(t, "--out", at("directory/up"), "--rejects", at("rejects.csv"))
	syscall.Umask(before)
	for _, name := range []string{"new.csv", "rejects.csv"} {
		if info, err := os.Lstat(at(name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(at("new.csv"), 12345, 54321); err != nil {
			t.Fatal(err)
		}
		mustScore(t, "--out", at("new.csv"))
		if s := wantFile(t, at("new.csv"), want).Sys().(*syscall.Stat_t); s.Uid != 12345 || s.Gid != 54321 {
			t.Errorf("owner %d:%d", s.Uid, s.Gid)
		}
	}
	wantNames(t, dir, "directory", "link", "link-of-link", "new.csv", "real", "rejects.csv")
	wantNames(t, at("real"), "old.csv", "up")
}

// TestOutputsRefused checks that an output that is an input, or the same file as another output, is refused before
// anything is written.
func TestOutputsRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	sample := readSample(t, "telecom_sample.csv")
	if err := errors.Join(
		os.WriteFile(at("in.csv"), []byte(sample), 0o644), os.WriteFile(at("before.csv"), []byte(sample), 0o644),
		os.Symlink("in.csv", at("link")), os.Symlink("loop", at("loop")),
		os.Mkdir(at("taken"), 0o755), syscall.Mkfifo(at("fifo"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args, want string
		status     int
	}{
		{"score --out in.csv in.csv", "--out {}in.csv: it is a file that is read", ExitUsage},
		{"score --rejects link in.csv", "--rejects {}link: it is a file that is read", ExitUsage},
		{"score --out before.csv --changes-from before.csv in.csv", "--out {}before.csv: it is a file that is read", ExitUsage},
		{"validate --rejects in.csv in.csv", "--rejects {}in.csv: it is a file that is read", ExitUsage},
		{"score --out new --rejects ./new in.csv", "--rejects {}./new: it is the same file as --out {}new", ExitUsage},
		{"score --out before.csv --summary before.csv in.csv", "--summary {}before.csv: it is the same file", ExitUsage},
		{"score --out taken in.csv", "--out {}taken: is a directory", ExitIO},
		{"score --out nowhere/x in.csv", "--out {}nowhere/x: there is no directory {}nowhere", ExitIO},
		{"score --out in.csv/x in.csv", "--out {}in.csv/x: ", ExitIO},
		{"score --out loop in.csv", "--out {}loop: too many", ExitIO},
	} {
		var args []string
		for i, arg := range strings.Fields(test.args) {
			if i > 0 && !strings.HasPrefix(arg, "--") {
				arg = dir + "/" + arg
			}
			args = append(args, arg)
		}
		status, out, messages := command(t, "", append(args, "--model", "telecom")...)
		want := "millrace: " + strings.ReplaceAll(test.want, "{}", dir+"/")
		if status != test.status || out != "" || !strings.HasPrefix(messages, want) || strings.Count(messages, "\n") != 1 {
			t.Errorf("%s: status %d: %q, want %q", test.args, status, messages, want)
		}
	}
	wantFile(t, at("in.csv"), sample)
	wantFile(t, at("before.csv"), sample)
	wantNames(t, dir, "before.csv", "fifo", "in.csv", "link", "loop", "taken")
}

// TestOutputsIncomplete checks that a partly written output that cannot be removed is reported, and no other.
func TestOutputsIncomplete(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.csv")
	if err := os.WriteFile(out, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := readSample(t, "telecom_10k.csv")
	file := strings.Repeat(whole[strings.Index(whole, "\n")+1:], 6)
	file = whole[:strings.Index(whole, "\n")+1] + file + "\"not closed\n"
	status, printed, messages := command(t, file, "score", "--model", "telecom", "-")
	if status != ExitData || printed == "" || !strings.HasSuffix(messages, "\nmillrace: standard output is not whole\n") {
		t.Errorf("status %d, %d bytes: %s", status, len(printed), messages)
	}
	status, printed, messages = command(t, file, "score", "--model", "telecom", "--out", out, "-")
	if status != ExitData || printed != "" || strings.Contains(messages, "not whole") {
		t.Errorf("status %d, %d bytes: %s", status, len(printed), messages)
	}
	wantFile(t, out, "old")
	wantNames(t, dir, "out.csv")
	if _, err := os.Stat("/dev/full"); err == nil { // is only written
		status, _, messages = scoreTo(t, "--out", "/dev/full")
		if status != ExitIO || !strings.HasPrefix(messages, "millrace: --out /dev/full: no space left on device\n") {
			t.Errorf("status %d: %s", status, messages)
		}
	}
}

// runProgram starts the program itself in a directory.
func runProgram(t *testing.T, dir string, stdin io.Reader, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), childVariable+"=1")
	cmd.Stdin = stdin
	messages := new(bytes.Buffer)
	cmd.Stderr = messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, messages
}

// TestFirstSignalEndsCommand checks that the first signal ends a command that blocks: in a read of standard input, in
// opening a pipe without a reader or writer, in a write to a full pipe. It leaves no file.
func TestFirstSignalEndsCommand(t *testing.T) {
	sample := readSample(t, "telecom_10k.csv")[:32<<10] // which a pipe holds
	for _, test := range []struct {
		name, args string
		signal     syscall.Signal
		stdin      bool // begins, and is silent then
	}{
		{"silent input", "score --model telecom --out out.csv --rejects rejects.csv -", syscall.SIGINT, true},
		{"silent input, terminated", "score --model telecom --out out.csv -", syscall.SIGTERM, true},
		{"validation", "validate --model telecom --rejects out.csv -", syscall.SIGINT, true},
		{"input without a writer", "score --model telecom --out out.csv fifo", syscall.SIGTERM, false},
		{"output without a reader", "score --model telecom --out fifo --rejects out.csv -", syscall.SIGINT, true},
		{"model without a writer", "score --model fifo -", syscall.SIGINT, false},
	} {
		dir := t.TempDir()
		if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd, messages := runProgram(t, dir, r, strings.Fields(test.args)...)
		if test.stdin {
			if _, err := io.WriteString(w, sample); err != nil {
				t.Fatal(err)
			}
		}
		waitUntilBlocked(t, cmd.Process.Pid)
		signalled := time.Now()
		if err := cmd.Process.Signal(test.signal); err != nil {
			t.Fatal(err)
		}
		err = cmd.Wait()
		if took := time.Since(signalled); took > time.Minute { // a second, and a loaded machine's share; without the signal it would never end
			t.Errorf("%s: it took %v", test.name, took)
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 128+int(test.signal) ||
			!strings.HasPrefix(messages.String(), "millrace: interrupted\n") {
			t.Errorf("%s: %v: %s", test.name, err, messages.String())
		}
		wantNames(t, dir, "fifo")
		_, _ = r.Close(), w.Close()
	}
}

// waitUntilBlocked waits until a process uses no more processor time, and wants none.
func waitUntilBlocked(t *testing.T, pid int) {
	t.Helper()
	used := ""
	for still, end := 0, time.Now().Add(time.Minute); still < 5 || still < 20 && used == "0 0"; time.Sleep(100 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || time.Now().After(end) {
			t.Fatalf("it does not come to stand: %v", err)
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if now := fields[11] + " " + fields[12]; now == used && !wantsProcessor(t, pid) {
			still++
		} else {
			still, used = 0, now
		}
	}
}

// wantsProcessor reports whether a thread of a process runs, or would on a machine with less to do.
func wantsProcessor(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	if err != nil || len(threads) == 0 {
		t.Fatalf("%d threads: %v", len(threads), err)
	}
	return slices.ContainsFunc(threads, func(path string) bool {
		stat, err := os.ReadFile(path)
		return err == nil && bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" R"))
	})
}
