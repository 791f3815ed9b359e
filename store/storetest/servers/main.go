// Servers starts the PostgreSQL, S3 and SQS servers of the tests for programs that are no Go tests, prints where they
// are as one line of JSON, and ends them when its standard input ends. PostgreSQL listens on a Unix socket only.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/retainwise/millrace/store/storetest"
)

// account is an address with what it takes to use it.
type account struct {
	Endpoint  string `json:"endpoint"`
	Name      string `json:"name"` // bucket, or URL of the queue
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

type addresses struct {
	DatabaseURL string  `json:"database_url"`
	S3          account `json:"s3"`
	SQS         account `json:"sqs"`
	S3Dir       string  `json:"s3_dir"` // the bucket's files
}

func main() {
	p := new(program)
	defer p.end()
	s3, sqs := storetest.S3(p), storetest.SQS(p)
	err := json.NewEncoder(os.Stdout).Encode(addresses{
		DatabaseURL: storetest.Postgres(p),
		S3:          account{s3.Endpoint, s3.Bucket, s3.AccessKey, s3.SecretKey},
		SQS:         account{sqs.Endpoint, sqs.URL, sqs.AccessKey, sqs.SecretKey},
		S3Dir:       storetest.S3Dir(p, s3.Bucket),
	})
	if err != nil {
		p.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// program stands in for a test: it lasts as long as the process.
type program struct {
	testing.TB // nil: what is not defined below is not called
	cleanups   []func()
}

func (p *program) Helper()                  {}
func (p *program) Name() string             { return "servers" }
func (p *program) Context() context.Context { return context.Background() }
func (p *program) Cleanup(f func())         { p.cleanups = append(p.cleanups, f) }

func (p *program) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (p *program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	os.Exit(1)
}

func (p *program) Fatal(args ...any) { p.Fatalf("%s", fmt.Sprint(args...)) }

func (p *program) end() {
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
}
