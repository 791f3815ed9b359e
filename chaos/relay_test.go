package main

import (
	"context"
	"net"
	"testing"
	"time"
)

// A client that dies in the middle of an answer does not keep a fault from ending.
func TestFaultEndsThoughAClientDied(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go talk(l)
	back, err := newRelay("127.0.0.1", "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer back.close()
	link, err := newLink(newToxiproxy(), "talker", back.address, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer link.close()
	for range 5 {
		conn, err := net.Dial("tcp", link.front.address)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(185*time.Millisecond, func() {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		})
		begin := time.Now()
		link.suffer(context.Background(), faultNamed("slow"), 200*time.Millisecond)
		if took := time.Since(begin); took > 4*time.Second { // toxiproxy alone: five for each packet on the way
			t.Fatalf("a fault of 200 ms lasted %s", took)
		}
	}
}

// talk says a lot after a while to whoever comes.
func talk(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			time.Sleep(150 * time.Millisecond)
			for range 10 {
				_, _ = conn.Write(make([]byte, 100))
				time.Sleep(time.Millisecond)
			}
		}()
	}
}
