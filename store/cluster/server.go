//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// server is one run of PostgreSQL's server.
type server struct {
	command  *exec.Cmd
	log      *os.File
	exited   chan struct{} // closed when the process has ended
	programs programs      // as they were when it started
	since    time.Time     // when it answered first; zero: it has not yet
	until    time.Time     // when it had ended; to be read when exited is closed
}

// startServer starts a server. It may not answer yet.
func (c *Cluster) startServer(ctx context.Context) (*server, error) {
	log, err := os.OpenFile(c.place.logFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	s := &server{log: log, exited: make(chan struct{})}
	s.command = c.owner.command(context.WithoutCancel(ctx), c.place, "postgres", c.arguments()...)
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		defer close(s.exited)
		_ = s.command.Wait()
		s.until = time.Now()
		_ = log.Close()
	}()
	return s, nil
}

// ready waits until the server accepts connections and has the database.
func (c *Cluster) ready(ctx context.Context, s *server) error {
	for end := time.Now().Add(startTimeout); ; {
		conn, err := pgx.Connect(ctx, c.urlOf("postgres"))
		if err == nil {
			return errors.Join(createDatabase(ctx, conn), s.findPrograms(ctx, conn), conn.Close(ctx))
		}
		var answer *pgconn.PgError
		if errors.As(err, &answer) && answer.Code == "57P03" { // cannot_connect_now
			end = time.Now().Add(startTimeout)
		}
		select {
		case <-s.exited:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
			if time.Now().After(end) {
				return fmt.Errorf("the server does not answer: %w", err)
			}
			if c.place.stopping(s.command.Process.Pid) { // it waits for connections that others have made meanwhile
				return fmt.Errorf("the server was asked to stop: %w", err)
			}
		}
	}
}

func createDatabase(ctx context.Context, conn *pgx.Conn) error {
	var exists bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, databaseName).Scan(&exists)
	if err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE DATABASE `+databaseName)
	return err
}

// stop ends the server, harder and harder, and returns when it has ended.
func (s *server) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fastTimeout)
	defer cancel()
	if s.signal(ctx, syscall.SIGINT) {
		return nil
	}
	grace, cancelGrace := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancelGrace()
	if s.signal(grace, syscall.SIGQUIT) {
		return errors.New("stop postgresql: it took too long and was stopped at once")
	}
	_ = syscall.Kill(-s.command.Process.Pid, syscall.SIGKILL)
	<-s.exited
	return errors.New("stop postgresql: it had to be killed")
}

// signal sends the server a signal and reports whether it has ended in time.
func (s *server) signal(ctx context.Context, sig syscall.Signal) bool {
	_ = s.command.Process.Signal(sig)
	select {
	case <-s.exited:
		return true
	case <-ctx.Done():
		return false
	}
}

// lasted returns how long a server that has ended had answered.
func (s *server) lasted() time.Duration {
	if s.since.IsZero() {
		return 0
	}
	return s.until.Sub(s.since)
}

// ended reports whether the process has ended.
func (s *server) ended() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}
