package work

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// partSink streams a part's result and rejects into objects and buffers its blocks and sample for the commit.
type partSink struct {
	result, rejects *objectWriter
	blocks, sample  []byte
	metrics         *metrics.Metrics
	model           string
}

func (w *Worker) newPartSink(ctx context.Context, c *store.Claim, b *engine.Bundle) *partSink {
	key := func(name string) string { return objects.PartKey(c.PublicID, c.Generation, c.Part.No, name) }
	return &partSink{
		result:  newObjectWriter(ctx, w.objects, key(objects.ResultName)),
		rejects: newObjectWriter(ctx, w.objects, key(objects.RejectsName)),
		metrics: w.metricsOf(c), model: b.Name(),
	}
}

// WriteChunk implements engine.Sink.
func (s *partSink) WriteChunk(c *engine.ScoredChunk) error {
	s.metrics.ChunkDone(s.model, c)
	begin := time.Now()
	s.blocks, s.sample = append(s.blocks, c.Blocks...), append(s.sample, c.Sample...)
	if err := s.result.write(c.Result); err != nil {
		return atStage(stageWrite, fmt.Errorf("put result: %w", err))
	}
	if err := s.rejects.write(c.Rejects); err != nil {
		return atStage(stageWrite, fmt.Errorf("put rejects: %w", err))
	}
	s.metrics.StageDone(metrics.StagePut, time.Since(begin), c.Tally.Rows)
	return nil
}

// close completes both objects, or abandons them if scoring failed with an error.
func (s *partSink) close(failed error) (store.PartResult, error) {
	result, err := s.result.close(failed)
	rejects, rejectsErr := s.rejects.close(failed)
	r := store.PartResult{
		ResultBytes: result.Bytes, ResultETag: result.ETag, RejectsBytes: rejects.Bytes, RejectsETag: rejects.ETag,
		ResultDigest: result.Digest, RejectsDigest: rejects.Digest,
		ResultSHA256: knownSHA256(result), RejectsSHA256: knownSHA256(rejects),
	}
	if failed != nil {
		var stage *stageError
		if !errors.As(failed, &stage) {
			failed = atStage(stageScore, failed)
		}
		return r, failed
	}
	return r, atStage(stageWrite, errors.Join(err, rejectsErr))
}

// knownSHA256 returns the SHA-256 of an object; nil if it is not known.
func knownSHA256(o objects.Info) []byte {
	if o.SHA256 == [32]byte{} {
		return nil
	}
	return o.SHA256[:]
}

// abandon ends the puts of objects that close has not completed, so that none waits for more bytes. After close it does
// nothing.
func (s *partSink) abandon() {
	_, _ = s.result.close(errAbandoned)
	_, _ = s.rejects.close(errAbandoned)
}

var errAbandoned = errors.New("part abandoned")

// objectWriter stores what is written to it as one object, while it is written. Without a byte it makes no object.
type objectWriter struct {
	ctx     context.Context
	objects objects.Store
	key     string
	pipe    *io.PipeWriter // nil until the first byte
	put     chan putOutcome
}

type putOutcome struct {
	info objects.Info
	err  error
}

func newObjectWriter(ctx context.Context, o objects.Store, key string) *objectWriter {
	return &objectWriter{ctx: ctx, objects: o, key: key, put: make(chan putOutcome, 1)}
}

func (o *objectWriter) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if o.pipe == nil {
		var r *io.PipeReader
		r, o.pipe = io.Pipe()
		go func() { // ends when the pipe is closed, which close does; close waits for it
			var info objects.Info
			err := recoverStep(func() (err error) {
				info, err = o.objects.Put(o.ctx, o.key, r)
				return err
			})
			_ = r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // a writer must not wait for a put that has ended
			o.put <- putOutcome{info, err}
		}()
	}
	_, err := o.pipe.Write(p)
	return err
}

// close waits for the object to be durable. A failed that is not nil abandons it. Closing twice does nothing.
func (o *objectWriter) close(failed error) (objects.Info, error) {
	if o.pipe == nil {
		return objects.Info{}, nil
	}
	_ = o.pipe.CloseWithError(failed) // nil is EOF
	o.pipe = nil
	outcome := <-o.put
	return outcome.info, outcome.err
}
