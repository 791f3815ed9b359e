package api

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/wire"
)

// formFieldMax is the most bytes of a field of a form. Their number is that of the route's: none may come twice.
const formFieldMax = 1 << 10

// uploadFile is the file of an upload, read from the request while it arrives.
type uploadFile struct {
	name    string            // for people only
	request *request          // that the form is of
	fields  map[string]string // form fields before the file
	io.Reader
	rows func(io.Reader, ingest.Limits) io.Reader // converts the text to CSV; nil if it is CSV
	form *multipart.Reader                        // nil if the body is the file
	body *body
}

// openFile opens the file of a request, which is the whole body or the first file of a form, limited to limit bytes.
func (r *request) openFile(limit int64) (*uploadFile, error) {
	if err := r.checkEncoding(); err != nil {
		return nil, err
	}
	mediaType, params, err := mime.ParseMediaType(r.header("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	switch mediaType {
	case "multipart/form-data":
		return r.openForm(limit, params["boundary"])
	case "text/csv", "application/csv", "text/plain", "application/gzip", "application/x-gzip", "application/zstd",
		"application/vnd.ms-excel", "application/octet-stream":
		return r.openRaw(limit)
	}
	return nil, fault.Fail(fault.CodeUnsupportedMediaType,
		"Send the file as multipart/form-data with a field named 'file', or as text/csv.").
		With(fault.Details{"field": "Content-Type", "expected": []string{"multipart/form-data", "text/csv"}})
}

// openRows is openFile for a body that may also be JSON or Arrow.
func (r *request) openRows(limit int64) (*uploadFile, error) {
	mediaType, _, err := mime.ParseMediaType(r.header("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	var rows func(io.Reader, ingest.Limits) io.Reader
	switch mediaType {
	case fault.TypeJSON, wire.TypeLines, "application/jsonl":
		rows = func(text io.Reader, limits ingest.Limits) io.Reader {
			return ingest.FromJSON(text, mediaType != fault.TypeJSON, limits)
		}
	case wire.TypeArrow:
		rows = func(text io.Reader, limits ingest.Limits) io.Reader {
			limits.BytesMax = limits.UnpackedMax
			return ingest.FromArrow(text, limits)
		}
	default:
		return r.openFile(limit)
	}
	if err := r.checkEncoding(); err != nil {
		return nil, err
	}
	file, err := r.openRaw(limit)
	if err == nil {
		file.rows = rows
	}
	return file, err
}

// checkEncoding returns an error for a Content-Encoding that cannot be decompressed.
func (r *request) checkEncoding() error {
	switch encoding := strings.ToLower(r.header("Content-Encoding")); encoding {
	case "", "identity", "gzip", "x-gzip", "zstd": // recognised by the first bytes
		return nil
	default:
		return fault.Fail(fault.CodeUnsupportedMediaType, "The Content-Encoding '"+fault.Sanitize(encoding)+"' is not supported.").
			With(fault.Details{"field": "Content-Encoding", "expected": []string{"identity", "gzip", "zstd"}})
	}
}

func (r *request) openRaw(limit int64) (*uploadFile, error) {
	name := r.query["filename"]
	if name == "" {
		name = "upload.csv"
	}
	name, err := wire.CheckFilename(name)
	if err != nil {
		return nil, err
	}
	b, err := r.receiveBody(limit, 0)
	if err != nil {
		return nil, err
	}
	return &uploadFile{name: name, Reader: b, body: b}, nil
}

func (r *request) openForm(limit int64, boundary string) (*uploadFile, error) {
	if boundary == "" {
		return nil, fault.Fail(fault.CodeUnparseableBody, "The Content-Type header names no boundary.").
			With(fault.Details{"field": "Content-Type"})
	}
	b, err := r.receiveBody(limit, multipartExtra)
	if err != nil {
		return nil, err
	}
	f := &uploadFile{request: r, fields: map[string]string{}, form: multipart.NewReader(b, boundary), body: b}
	part, err := f.seekFile()
	if err != nil {
		return nil, err
	}
	if f.name, err = wire.CheckFilename(wire.FormFilename(part)); err != nil {
		return nil, err
	}
	f.Reader = &fileReader{form: f, part: part, left: limit, limit: limit}
	return f, nil
}

// seekFile reads the form up to its first file and stores the fields before it.
func (f *uploadFile) seekFile() (*multipart.Part, error) {
	for {
		part, err := f.form.NextPart()
		switch {
		case err == io.EOF: // not errors.Is: a wrapped EOF is a truncated form
			return nil, noFile()
		case err != nil:
			return nil, f.unreadable(err)
		case part.FileName() != "":
			return part, nil
		}
		if err := f.checkField(part.FormName()); err != nil {
			return nil, err
		}
		value, err := io.ReadAll(io.LimitReader(part, formFieldMax+1))
		if err != nil {
			return nil, f.unreadable(err)
		}
		if len(value) > formFieldMax {
			return nil, fault.Fail(fault.CodeInvalidValue, "A field of the form is too long.").
				With(fault.Details{"field": part.FormName(), "limit": formFieldMax, "unit": "bytes"})
		}
		f.fields[part.FormName()] = string(value)
	}
}

func noFile() *fault.Failure {
	return fault.Fail(fault.CodeMissingField, "The form has no file. Send the CSV in a field named 'file', with a file name.").
		With(fault.Details{"field": "file"})
}

// checkField applies the rule of parameters to a field of the form: an unknown one is an error, and one that is given twice,
// as a field or as a parameter.
func (f *uploadFile) checkField(name string) error {
	_, twice := f.fields[name]
	_, inQuery := f.request.query[name]
	switch {
	case name == "file": // without a file name
		return noFile()
	case !slices.Contains(f.request.route.Fields, name):
		return fault.Fail(fault.CodeUnknownParameter, "The field '"+fault.Sanitize(name)+"' of the form is not known here.").
			With(fault.Details{"field": fault.Sanitize(name), "expected": append([]string{}, f.request.route.Fields...)})
	case twice || inQuery:
		return fault.Fail(fault.CodeInvalidValue, "'"+name+"' is given twice.").With(fault.Details{"field": name})
	}
	return nil
}

// finish reads the body to its end, so that truncation after the file is noticed. A second file, or a field after the file,
// is an error: it would be ignored silently.
func (f *uploadFile) finish() error {
	if _, err := io.Copy(io.Discard, f); err != nil { // bytes after the end of an archive
		return err
	}
	if f.form != nil {
		part, err := f.form.NextPart()
		if err == nil && part.FileName() != "" {
			return fault.Fail(fault.CodeInvalidFile, "The form has more than one file. Upload one file at a time.")
		}
		if err == nil {
			if err := f.checkField(part.FormName()); err != nil {
				return err
			}
			return fault.Fail(fault.CodeInvalidValue, "The field '"+part.FormName()+"' must stand before the file.").
				With(fault.Details{"field": part.FormName()})
		}
		if err != io.EOF { // not errors.Is: a wrapped EOF is a truncated form
			return f.unreadable(err)
		}
	}
	if _, err := io.Copy(io.Discard, f.body); err != nil {
		return err
	}
	return nil
}

// unreadable returns the error of the body below a form, or that the form is malformed.
func (f *uploadFile) unreadable(err error) error {
	if broken := f.body.failed(); broken != nil {
		return broken
	}
	return fault.Fail(fault.CodeUnparseableBody, "The multipart form cannot be read.").Because(errForm(err))
}

// errForm replaces a multipart error, whose text may quote the form, by its kind.
func errForm(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("form is truncated")
	}
	return errors.New("form is malformed")
}

// fileReader reads the file of a form. It returns an error after limit bytes, and if the form is truncated.
type fileReader struct {
	form        *uploadFile
	part        *multipart.Part
	left, limit int64
}

// Read implements io.Reader.
func (f *fileReader) Read(p []byte) (int, error) {
	n, err := f.part.Read(p)
	if f.left -= int64(n); f.left < 0 {
		return 0, fault.TooLarge(f.limit, "bytes")
	}
	if err != nil && err != io.EOF {
		err = f.form.unreadable(err) // io.ErrUnexpectedEOF would be taken for the end of the file
	}
	return n, err
}
