package storetest_test

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/retainwise/millrace/store/storetest"
)

// echo is a server that gives back what it gets.
func echo(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "echo"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, l *storetest.Line) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// alive says whether a connection gives back a line.
func alive(c net.Conn) bool {
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return false
	}
	text, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && text == "hello\n"
}

func TestLineIsCutAndMended(t *testing.T) {
	l := storetest.NewLine(t, "unix", echo(t))
	before := dial(t, l)
	if !alive(before) {
		t.Fatal("nothing comes through")
	}
	for range 2 {
		l.Cut()
	}
	if alive(before) {
		t.Error("a connection survives the cut")
	}
	if c, err := net.Dial("tcp", l.Address()); err == nil {
		_ = c.Close()
		t.Error("a connection is let in")
	}
	l.Mend(t)
	if !alive(dial(t, l)) {
		t.Error("nothing comes through after it was mended")
	}
	if alive(before) {
		t.Error("an old connection came back")
	}
}

// A connection that is being made while the line is cut does not survive that either.
func TestLineCutWhileDialling(t *testing.T) {
	server := echo(t)
	for round := range 200 {
		l := storetest.NewLine(t, "unix", server)
		address := l.Address()
		var made sync.WaitGroup
		conns := make([]net.Conn, 4)
		for i := range conns {
			made.Go(func() { conns[i], _ = net.Dial("tcp", address) })
		}
		time.Sleep(time.Duration(round) * 2 * time.Microsecond) // somewhere in between
		l.Cut()
		made.Wait()
		for _, c := range conns {
			if c == nil {
				continue
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			if alive(c) {
				t.Error("a connection survives the cut")
			}
			_ = c.Close()
		}
	}
}

func TestAsk(t *testing.T) {
	database := storetest.Postgres(t)
	if got := storetest.Ask(t, database, `SELECT count(*) FROM users`); got != "0" {
		t.Errorf("%q", got)
	}
	api, loader := storetest.Logins(database)
	for url, want := range map[string]string{api: "millrace_test_api", loader: "millrace_test_loader"} {
		if got := storetest.Ask(t, url, `SELECT current_user`); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if again, none := storetest.Logins(api); again != api || none != "" {
		t.Errorf("%q, %q", again, none)
	}
}

func TestSend(t *testing.T) {
	q := storetest.SQS(t)
	q.Send(t, "hello")
	out, err := q.Client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &q.URL, WaitTimeSeconds: 5})
	if err != nil || len(out.Messages) != 1 || aws.ToString(out.Messages[0].Body) != "hello" {
		t.Errorf("%+v, %v", out, err)
	}
}
