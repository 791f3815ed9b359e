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

// interruption is a signal that stopped the program, as the cancellation cause of its context.
type interruption struct{ signal syscall.Signal }

func (*interruption) Error() string { return "interrupted" }

// Is makes an interruption match [context.Canceled].
func (*interruption) Is(target error) bool { return target == context.Canceled }

// status returns the exit status that shells use for a program killed by the signal.
func (i *interruption) status() int { return 128 + int(i.signal) }

// interrupted returns the signal that cancelled a context; nil if none did.
func interrupted(ctx context.Context) *interruption {
	var i *interruption
	_ = errors.As(context.Cause(ctx), &i)
	return i
}

// untilSignal returns a context that the first SIGINT or SIGTERM cancels, and a function that releases its resources.
// The second signal is not caught and kills. SIGPIPE is caught, so that a write to a closed pipe fails and temporary
// files are removed.
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

// stopPatience is how long a command may take to stop by itself. It may be blocked in a read or open of a pipe, which
// only the end of the process interrupts.
const stopPatience = 700 * time.Millisecond

// await waits for the end of a command. After a signal it waits for stopPatience only, unless the command drains.
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
