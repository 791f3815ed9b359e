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

// outputs are the files and streams that a command writes its results to. Regular files get their names together, when
// all are complete; pipes and devices are written at once and cannot be undone. The zero value is ready to use. A command
// uses it from one goroutine; abandon may be called concurrently.
type outputs struct {
	mu        sync.Mutex // guards the fields below, and is held while files get their names
	open      []*output
	inputs    []fs.FileInfo // files that the command reads
	abandoned bool
	spoiled   []string // names of incomplete outputs that could not be removed
}

// output is a stream or the file of a flag.
type output struct {
	*bufio.Writer
	name   string   // in messages: "--out result.csv"
	file   *os.File // nil for a stream, which is not closed
	target target
	sent   atomic.Int64 // bytes that have left the buffer
	stream io.Writer
}

// outputError is an error of an output. It has no published code, as it is not caused by a customer's file.
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

// errReused begins the errors of a file that the command line names twice.
var errReused = errors.New("it is")

const standardOutput = "standard output"

// printer is the standard output of a command. It names itself in errors.
type printer struct{ io.Writer }

func (p printer) Write(text []byte) (int, error) {
	n, err := p.Writer.Write(text)
	if err != nil {
		err = &outputError{standardOutput, err}
	}
	return n, err
}

// errAbandoned is returned if a signal came before the outputs got their names.
var errAbandoned = errors.New("interrupted")

// reads records an input, such as standard input, that no output may overwrite.
func (o *outputs) reads(file any) {
	f, ok := file.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return
	}
	if info, err := f.Stat(); err == nil {
		o.inputs = append(o.inputs, info)
	}
}

// readsModel records a model file as an input. An output may be in the directory of a bundle.
func (o *outputs) readsModel(name string) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		o.inputs = append(o.inputs, info)
	}
}

// create opens the output that a flag names; the stream if name is empty.
func (o *outputs) create(flag, name string, stream io.Writer) (*output, error) {
	out := &output{name: flag + " " + name, stream: stream}
	var err error
	if name == "" {
		if direct, ok := stream.(printer); ok {
			out.stream = direct.Writer
		}
		out.name, out.target = standardOutput, targetOf(out.stream)
		err = o.refuseTwice(out)
	} else if out.target, err = findTarget(name); err == nil {
		if err = o.refuseTwice(out); err == nil {
			out.file, err = out.target.create()
			out.stream = out.file
		}
	}
	if errors.Is(err, errReused) {
		return nil, Usage("%s: %v", out.name, err)
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

// refuseTwice returns an error for a file that another output writes or that the command reads. Devices may be shared.
func (o *outputs) refuseTwice(out *output) error {
	for _, other := range o.opened() {
		if out.target.same(other.target) {
			return fmt.Errorf("%w the same file as %s", errReused, other.name)
		}
	}
	for _, input := range o.inputs {
		if out.target.same(target{info: input}) {
			return fmt.Errorf("%w a file that is read, and would be written over", errReused)
		}
	}
	return nil
}

func (o *outputs) opened() []*output {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.open
}

// sender counts the bytes that leave the buffer, and names the output in errors.
type sender struct{ out *output }

func (s sender) Write(p []byte) (int, error) {
	n, err := s.out.stream.Write(p)
	s.out.sent.Add(int64(n))
	if err != nil {
		err = &outputError{s.out.name, err}
	}
	return n, err
}

// finish closes all open outputs and gives files their names; if ok is false or an output fails, it removes the files.
func (o *outputs) finish(ok bool) (err error) {
	if !ok {
		o.end(false)
		return nil
	}
	for _, out := range o.opened() { // closing a pipe may block, and abandon must not wait for it
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

// finishOnly closes all open outputs, gives one of them its name, and removes the files of the others.
func (o *outputs) finishOnly(kept *output) error {
	others := new(outputs)
	for _, out := range o.opened() {
		if out != kept {
			others.open = append(others.open, out)
		}
	}
	others.end(false)
	o.mu.Lock()
	if o.spoiled = append(o.spoiled, others.spoiled...); !o.abandoned {
		o.open = []*output{kept}
	}
	o.mu.Unlock()
	return o.finish(true)
}

// abandon removes the files of open outputs, while the command may be blocked in a write or about to end.
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

// drop removes a temporary file; other outputs cannot be undone.
func (out *output) drop() {
	if out.target.whole() {
		_ = out.file.Close()           // Windows removes no open file
		_ = os.Remove(out.file.Name()) // it does not exist any more if it was renamed
	}
}

// close flushes the buffer and closes the file.
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
