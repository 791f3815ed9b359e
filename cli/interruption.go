package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// interruption is the signal that stopped the program, the cause of its context's end.
type interruption struct{ signal syscall.Signal }

func (*interruption) Error() string { return "interrupted" }

// Is makes it a cancellation, which is how everything below a command knows it.
func (*interruption) Is(target error) bool { return target == context.Canceled }

// status is what a shell gives a program that the signal has killed.
func (i *interruption) status() int { return 128 + int(i.signal) }

// interrupted gives the signal that ended a context; nil if none did.
func interrupted(ctx context.Context) *interruption {
	var i *interruption
	_ = errors.As(context.Cause(ctx), &i)
	return i
}

// untilSignal gives a context that the first SIGINT or SIGTERM ends. The second one is not caught and kills. A pipe
// whose reader has gone makes a write fail, and does not kill before temporary files are removed.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals, pipes := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Notify(pipes, syscall.SIGPIPE)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			number, _ := s.(syscall.Signal)
			cancel(&interruption{number})
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel(nil)
		waiting.Wait()
		signal.Stop(signals)
		signal.Stop(pipes)
	}
}

// stopPatience is how long a command may take to stop by itself. It may stand in a read of a silent pipe or in the
// opening of one, which nothing ends but the end of the process.
const stopPatience = 700 * time.Millisecond

// await waits for the end of a command. One that a signal has stopped is left where it stands, unless it drains.
func await(ctx context.Context, ended <-chan error, drains bool) error {
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if drains || interrupted(ctx) == nil {
		return <-ended
	}
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
		return context.Cause(ctx)
	}
}
