package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// outputs are everything that a command writes its results to. A regular file appears under its name, with the others,
// only when all are whole; what is no regular file is written as it comes and cannot be taken back. The zero value is
// ready. A command uses it from one goroutine; abandon may be called beside it.
type outputs struct {
	mu        sync.Mutex // of what follows, and held while files get their names
	open      []*output
	inputs    []fs.FileInfo // files that the command reads
	abandoned bool
	spoiled   []string // what got a part and could not be taken back
}

// output is a stream, or what a flag names.
type output struct {
	*bufio.Writer
	name   string   // in messages: "--out result.csv"
	file   *os.File // nil for a stream that is not ours to close
	target target
	sent   atomic.Int64 // bytes that have left the buffer
	stream io.Writer
}

// outputError says what is wrong with an output, in words that need no code: no file of a customer is to blame.
type outputError struct {
	name string
	err  error
}

func (e *outputError) Error() string {
	err := e.err
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err // the path may be that of a temporary file
	}
	return fmt.Sprintf("%s: %v", e.name, err)
}

func (e *outputError) Unwrap() error { return e.err }

// errAbandoned says that an interruption came before the outputs got their names.
var errAbandoned = errors.New("interrupted")

// reads notes a file, such as standard input, that no output may be.
func (o *outputs) reads(file any) {
	f, ok := file.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return
	}
	if info, err := f.Stat(); err == nil {
		o.inputs = append(o.inputs, info)
	}
}

// readsModel notes a model file; in a directory an output may lie beside the model.
func (o *outputs) readsModel(name string) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		o.inputs = append(o.inputs, info)
	}
}

// create makes an output of the name that a flag gives. Without a name it is the stream.
func (o *outputs) create(flag, name string, stream io.Writer) (*output, error) {
	out := &output{name: flag + " " + name, stream: stream}
	var err error
	if name == "" {
		out.name, out.target = "standard output", targetOf(stream)
		err = o.refuseTwice(out)
	} else if out.target, err = findTarget(name); err == nil {
		if err = o.refuseTwice(out); err == nil {
			out.file, err = out.target.create()
			out.stream = out.file
		}
	}
	if err != nil {
		return nil, &outputError{out.name, err}
	}
	out.Writer = bufio.NewWriterSize(sender{out}, 1<<18)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = append(o.open, out)
	if o.abandoned {
		out.drop()
		return nil, errAbandoned
	}
	return out, nil
}

// refuseTwice refuses a file that another output writes or that the command reads. A device takes anything.
func (o *outputs) refuseTwice(out *output) error {
	for _, other := range o.opened() {
		if out.target.same(other.target) {
			return fmt.Errorf("it is the same file as %s", other.name)
		}
	}
	for _, input := range o.inputs {
		if out.target.same(target{info: input}) {
			return errors.New("it is a file that is read, and would be written over")
		}
	}
	return nil
}

func (o *outputs) opened() []*output {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.open
}

// sender counts what leaves the buffer, and names the output in errors.
type sender struct{ out *output }

func (s sender) Write(p []byte) (int, error) {
	n, err := s.out.stream.Write(p)
	s.out.sent.Add(int64(n))
	if err != nil {
		err = &outputError{s.out.name, err}
	}
	return n, err
}

// finish ends what is open: complete, or not at all if ok is false or one of them cannot be completed.
func (o *outputs) finish(ok bool) (err error) {
	if !ok {
		o.end(false)
		return nil
	}
	for _, out := range o.opened() { // a pipe may keep it waiting, and abandon must not wait
		err = errors.Join(err, out.close())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil && o.abandoned {
		return errAbandoned
	}
	for _, out := range o.open {
		if err == nil && out.target.whole() {
			if renamed := os.Rename(out.file.Name(), out.target.path); renamed != nil {
				err = &outputError{out.name, renamed}
			}
		}
	}
	if err != nil {
		o.dropAll()
	}
	o.open = nil
	return err
}

// abandon drops what is open while the command may stand in a write or be about to end.
func (o *outputs) abandon() { o.end(true) }

func (o *outputs) end(abandoned bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.abandoned = o.abandoned || abandoned; !o.abandoned {
		for _, out := range o.open {
			_ = out.closeFile()
		}
	}
	o.dropAll()
	o.open = nil
}

func (o *outputs) dropAll() {
	for _, out := range o.open {
		if out.drop(); !out.target.whole() && out.stream != io.Discard && out.sent.Load() > 0 {
			o.spoiled = append(o.spoiled, out.name)
		}
	}
}

// drop removes a file that has not got its name; nothing else can be taken back.
func (out *output) drop() {
	if out.target.whole() {
		_ = out.file.Close()           // Windows removes no open file
		_ = os.Remove(out.file.Name()) // it is gone if it got its name
	}
}

// close sends what the buffer holds.
func (out *output) close() error {
	err := out.Flush()
	if closed := out.closeFile(); err == nil && closed != nil {
		err = &outputError{out.name, closed}
	}
	return err
}

func (out *output) closeFile() error {
	if out.file == nil {
		return nil
	}
	return out.file.Close()
}
