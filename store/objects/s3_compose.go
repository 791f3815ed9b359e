package objects

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Bounds that S3 sets for the parts of a multipart upload.
const (
	s3PartBytesMin = 5 << 20
	s3PartBytesMax = 5 << 30
	s3PartsMax     = 10_000
)

// requestsMax is how many requests of one compose run at the same time.
const requestsMax = 8

// Compose implements [Store]. The server copies where it can; a part in the middle that is too small for that (most
// of its rows were rejected) makes the bytes go through here.
func (b *bucket) Compose(ctx context.Context, dst string, parts []Source) (Info, error) {
	info, err := b.compose(ctx, dst, parts)
	if err != nil {
		return Info{}, fmt.Errorf("compose object: %w", err)
	}
	return info, nil
}

func (b *bucket) compose(ctx context.Context, dst string, sources []Source) (Info, error) {
	if err := checkKey(dst); err != nil {
		return Info{}, err
	}
	infos, sources, err := b.heads(ctx, sources)
	if err != nil {
		return Info{}, err
	}
	if copyable(infos) {
		info, err := b.copyParts(ctx, dst, infos)
		info.Digest = joinDigests(sources)
		return info, err
	}
	source := &concatReader{ctx: ctx, from: b, parts: sources}
	info, err := b.put(ctx, dst, source, joinDigests(sources))
	return info, errors.Join(err, source.Close())
}

// heads returns the objects that are not empty, and the sources with their ETags. One that is not as long as its digest
// is [ErrDamaged].
func (b *bucket) heads(ctx context.Context, sources []Source) (infos []Info, parts []Source, err error) {
	all := make([]Info, len(sources))
	err = Parallel(ctx, len(sources), func(ctx context.Context, i int) (err error) {
		if all[i], err = b.Head(ctx, sources[i].Key); err != nil || sources[i].Digest == nil {
			return err
		}
		if size, err := sources[i].Digest.Size(); err != nil || size != all[i].Bytes {
			sources[i].found(Damaged)
			return fmt.Errorf("part of %d bytes, not %d: %w", all[i].Bytes, size, errors.Join(ErrDamaged, err))
		}
		return nil
	})
	for i, info := range all {
		if info.Bytes > 0 {
			part := sources[i]
			part.ETag = info.ETag
			infos, parts = append(infos, info), append(parts, part)
		}
	}
	return infos, parts, err
}

func copyable(parts []Info) bool {
	if len(parts) == 0 || len(parts) > s3PartsMax {
		return false
	}
	for i, p := range parts {
		if p.Bytes > s3PartBytesMax || (p.Bytes < s3PartBytesMin && i < len(parts)-1) {
			return false
		}
	}
	return true
}

func (b *bucket) copyParts(ctx context.Context, dst string, parts []Info) (Info, error) {
	upload, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &b.name, Key: b.bucketKey(dst)})
	if err != nil {
		return Info{}, s3WriteError(err)
	}
	info, err := b.copyInto(ctx, dst, upload.UploadId, parts)
	if err != nil {
		fresh, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return Info{}, errors.Join(err, b.abort(fresh, dst, *upload.UploadId))
	}
	return info, nil
}

func (b *bucket) copyInto(ctx context.Context, dst string, id *string, parts []Info) (Info, error) {
	done := make([]types.CompletedPart, len(parts))
	info := Info{Key: dst, Modified: time.Now()}
	for _, p := range parts {
		info.Bytes += p.Bytes
	}
	err := Parallel(ctx, len(parts), func(ctx context.Context, i int) error {
		number := aws.Int32(int32(i + 1))
		out, err := b.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: &b.name, Key: b.bucketKey(dst), UploadId: id, PartNumber: number,
			CopySource: aws.String(copySource(b.name, *b.bucketKey(parts[i].Key))), CopySourceIfMatch: &parts[i].ETag,
		})
		if err != nil {
			return s3Error(err)
		}
		r := out.CopyPartResult
		done[i] = types.CompletedPart{PartNumber: number, ETag: r.ETag, ChecksumCRC32: r.ChecksumCRC32}
		return nil
	})
	if err != nil {
		return Info{}, err
	}
	out, err := b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &b.name, Key: b.bucketKey(dst), UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	if err != nil {
		return b.completedBefore(ctx, info, err)
	}
	info.ETag = aws.ToString(out.ETag)
	return info, nil
}

// completedBefore returns the object if it is there although completing it failed: the acknowledgement got lost, and the
// retry found no upload any more. The same parts make the same bytes, so comparing the length is enough.
func (b *bucket) completedBefore(ctx context.Context, want Info, cause error) (Info, error) {
	info, err := b.Head(ctx, want.Key)
	if err != nil || info.Bytes != want.Bytes {
		return Info{}, s3WriteError(cause)
	}
	return info, nil
}

// Parallel calls do for 0 to n-1, at most [requestsMax] at a time, waits for all, and returns the error of the lowest. A
// panic is an error. After an error no more are started; running ones are not cancelled, as a server may finish a
// cancelled copy after the abort that follows.
func Parallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	errs := make([]error, n)
	slots := make(chan struct{}, requestsMax)
	var failed atomic.Bool
	var group sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		if failed.Load() {
			break
		}
		group.Go(func() {
			defer func() {
				if v := recover(); v != nil { // fails this compose, not the process
					errs[i] = fmt.Errorf("panic: %v", v)
				}
				if errs[i] != nil {
					failed.Store(true)
				}
				<-slots
			}()
			errs[i] = do(ctx, i)
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
