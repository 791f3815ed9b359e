package database

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// tracer shows every statement before it is sent, and bounds the wait for a connection: it is the only place that sees
// all callers of a pool, and pgxpool has no setting for it.
type tracer struct {
	trace func(sql string, args []any) // nil disables it
	wait  time.Duration                // for a connection; 0 bounds nothing
}

var (
	_ pgx.QueryTracer       = tracer{}
	_ pgx.BatchTracer       = tracer{}
	_ pgxpool.AcquireTracer = tracer{}
)

type cancelKey struct{}

// TraceAcquireStart implements [pgxpool.AcquireTracer]. The pool waits with the context that it returns, and the caller
// goes on with its own.
func (t tracer) TraceAcquireStart(
	ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData,
) context.Context {
	if t.wait <= 0 {
		return ctx
	}
	ctx, cancel := context.WithTimeout(ctx, t.wait)
	return context.WithValue(ctx, cancelKey{}, cancel)
}

// TraceAcquireEnd implements [pgxpool.AcquireTracer].
func (tracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	if cancel, ok := ctx.Value(cancelKey{}).(context.CancelFunc); ok {
		cancel()
	}
}

// TraceQueryStart implements [pgx.QueryTracer].
func (t tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if t.trace != nil {
		t.trace(data.SQL, data.Args)
	}
	return ctx
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements [pgx.BatchTracer].
func (t tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if t.trace == nil {
		return ctx
	}
	for _, query := range data.Batch.QueuedQueries {
		t.trace(query.SQL, query.Arguments)
	}
	return ctx
}

// TraceBatchQuery implements [pgx.BatchTracer].
func (tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements [pgx.BatchTracer].
func (tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}
