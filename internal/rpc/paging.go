package rpc

// Paging is embedded in the requests of paged operations.
type Paging struct {
	CurrentPage int `doc:"The page to answer, from 1. A page past the end is empty and still tells the total." default:"1" range:"1," example:"1"`
	PageSize    int `doc:"The number of entries on a page." default:"20" range:"1,1000" example:"20"`
}

// Offset is the number of entries before the page.
func (p Paging) Offset() int64 { return int64(p.CurrentPage-1) * int64(p.PageSize) }
