package sign

import "testing"

func BenchmarkParseVerify(b *testing.B) {
	for _, v := range readVectors(b, "testdata/vectors.json") {
		switch v.ID {
		case "cli-10", "popcore-42", "gov2-24", "gov2-25", "gov2-29":
		default:
			continue
		}
		b.Run(v.ID+"/"+v.Algorithm, func(b *testing.B) {
			r := v.request()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := accept(r, v.AccessKeyID, v.AccessKeySecret); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []Algorithm{HMACSHA1, ACS3SHA256} {
		b.Run(string(algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				signed(b, algorithm)
			}
		})
	}
}
