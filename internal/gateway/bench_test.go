package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"testing"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/sign"
)

func page(n int) *pageResponse {
	resp, _ := rows(context.Background(), nil, &pageRequest{Paging: rpc.Paging{CurrentPage: 1, PageSize: n}})
	return resp
}

func BenchmarkEncode20Rows(b *testing.B) {
	typ := reflect.TypeFor[pageResponse]()
	p := planOf("PageImageRegistryResponse", typ, rpc.FieldsOf(typ))
	resp := page(20)
	for name, xml := range map[string]bool{"json": false, "xml": true} {
		b.Run(name, func(b *testing.B) {
			var e encoder
			b.ReportAllocs()
			for b.Loop() {
				e.buf = e.buf[:0]
				if err := e.encode(p, resp, "FDA9E37C-6114-5945-8FF1-E3D4D3970001", xml); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(e.buf)))
		})
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkServe is a call of 20 rows from the parsed request to the encoded
// answer, with and without the signature's cost.
func BenchmarkServe(b *testing.B) {
	resp := page(20)
	trust := func(context.Context, *sign.Signature, rpc.Access, netip.Addr) (portolan.Principal, error) {
		return portolan.Principal{AccountID: 1, AccessKeyID: testKey.ID}, nil
	}
	for name, check := range map[string]Authenticate{"verified": authenticate, "trusted": trust} {
		b.Run(name, func(b *testing.B) {
			s := newSetup(func(c *Config) {
				c.Authenticate = check
				c.Log = slog.New(slog.DiscardHandler)
				c.RequestID = nil
				c.Catalog = rpc.NewCatalog([]rpc.Endpoint{pageOperation(
					func(context.Context, *rpc.Caller, *pageRequest) (*pageResponse, error) { return resp, nil })})
			})
			r := signed(b, sign.HMACSHA1, "PageImageRegistry", "JSON", "RegionId=cn-hangzhou&PageSize=20&CurrentPage=1&RegistryTypeInList.1=harbor", "")
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(&discard{http.Header{}}, r)
			}
		})
	}
}
