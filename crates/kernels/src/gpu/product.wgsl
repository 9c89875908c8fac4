// C[l, m, n] = Σ_k a(l, m, k) b(l, k, n): products of matrices, and convolutions as such; a and b are the op's own file.
//
// A workgroup computes a tile of BM × BN numbers. Tiles of BK terms of a and b pass through workgroup memory as [k][m] and
// [k][n]; each of PM × PN invocations holds 4 rows and 4 V columns of the sum in registers, and adds its terms in the
// order of k. It fetches 4 numbers of the next tiles while it computes with these, and writes them as one vector: to write
// a component may be to write the whole vector. l is a matrix of a batch, or with SPLIT a part of `chunk` terms, whose
// sums another launch adds.
//
// Constants: N; PM, PN with PM PN = 256; V, 1 … 4; BK with 4 PM BK = 1024; A_ALONG_K and B_ALONG_K: which index is the
// adjacent one in memory; SPLIT; Element, f32 or f16, in which the tiles are held.
// Functions: row_c(m); row_a(l, m) and column_b(l, n), term_a(k) and term_b(k), load_a(row, term), load_b(term, column);
// scale_a() and scale_b(), powers of two by which a and b are multiplied, and unscale(x).

struct Dims {
    // Rows and terms.
    m: u32,
    k: u32,
    // Terms of a part.
    chunk: u32,
    // Matrices, or parts.
    layers: u32,
    // 1: the product is added to what C holds.
    adds: u32,
    // Rows of C, of which row m of this product is row_c(m).
    rows: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>; // [layers, rows, N]

const BM: u32 = 4u * PM;
const BN: u32 = 4u * V * PN;
// Padded by 4, so that the k's of one row lie in different banks.
const STRIDE_A: u32 = BM / 4u + 1u;
const STRIDE_B: u32 = BN / 4u + 1u;
// Invocations that fetch of b.
const LANES_B: u32 = BK * BN / 4u;

const_assert PM * PN == 256u;
const_assert BM * BK == 1024u;
const_assert V >= 1u && V <= 4u;
const_assert LANES_B <= 256u;

var<workgroup> tile_a: array<vec4<Element>, BK * STRIDE_A>; // [BK, BM]
var<workgroup> tile_b: array<vec4<Element>, BK * STRIDE_B>; // [BK, BN]

// Term k of four rows, zeros beyond the last one. Rows beyond the edge repeat the last row, and are never stored.
fn fetch_a(r0: vec4<u32>, r1: vec4<u32>, r2: vec4<u32>, r3: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if (k >= end) {
        return vec4<f32>();
    }
    let term = term_a(k);
    return vec4<f32>(load_a(r0, term), load_a(r1, term), load_a(r2, term), load_a(r3, term));
}

// Term k of four columns.
fn fetch_b(columns: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if (k >= end) {
        return vec4<f32>();
    }
    let term = term_b(k);
    return vec4<f32>(
        load_b(term, columns.x),
        load_b(term, columns.y),
        load_b(term, columns.z),
        load_b(term, columns.w),
    );
}

fn store(at: u32, column: u32, sum: vec4<f32>) {
    let value = unscale(sum);
    for (var i = 0u; i < 4u; i++) {
        if (column + i < N) {
            if (dims.adds == 1u) {
                c[at + i] += value[i];
            } else {
                c[at + i] = value[i];
            }
        }
    }
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = position(group, groups);
    let across = (N + BN - 1u) / BN;
    let down = (dims.m + BM - 1u) / BM;
    let layer = at / (across * down);
    if (layer >= dims.layers) {
        return;
    }
    let m0 = at / across % down * BM;
    let n0 = at % across * BN;
    prepare(lane);
    let factor_a = scale_a();
    let factor_b = scale_b();

    // What this invocation fetches of each tile: four rows of one term, four columns of one term. Neighbours take what is
    // adjacent in memory.
    let ma = select(lane % (BM / 4u), lane / BK, A_ALONG_K);
    let ka = select(lane / (BM / 4u), lane % BK, A_ALONG_K);
    let nb = select(lane % (BN / 4u), lane / BK, B_ALONG_K);
    let kb = select(lane / (BN / 4u), lane % BK, B_ALONG_K);
    let fetches_b = lane < LANES_B;
    let ra = m0 + 4u * ma;
    let r0 = row_a(layer, min(ra, dims.m - 1u));
    let r1 = row_a(layer, min(ra + 1u, dims.m - 1u));
    let r2 = row_a(layer, min(ra + 2u, dims.m - 1u));
    let r3 = row_a(layer, min(ra + 3u, dims.m - 1u));
    let cb = n0 + 4u * nb;
    let columns = vec4<u32>(
        column_b(layer, min(cb, N - 1u)),
        column_b(layer, min(cb + 1u, N - 1u)),
        column_b(layer, min(cb + 2u, N - 1u)),
        column_b(layer, min(cb + 3u, N - 1u)),
    );

    let my_row = lane / PN;
    let my_column = lane % PN;
    // Row r of the sum in four vectors, s<r><v>.
    var s00 = vec4<f32>(); var s01 = vec4<f32>(); var s02 = vec4<f32>(); var s03 = vec4<f32>();
    var s10 = vec4<f32>(); var s11 = vec4<f32>(); var s12 = vec4<f32>(); var s13 = vec4<f32>();
    var s20 = vec4<f32>(); var s21 = vec4<f32>(); var s22 = vec4<f32>(); var s23 = vec4<f32>();
    var s30 = vec4<f32>(); var s31 = vec4<f32>(); var s32 = vec4<f32>(); var s33 = vec4<f32>();

    let begin = select(0u, layer * dims.chunk, SPLIT);
    let end = min(dims.k, begin + dims.chunk);
    var next_a = fetch_a(r0, r1, r2, r3, begin + ka, end);
    var next_b = vec4<f32>();
    if (fetches_b) {
        next_b = fetch_b(columns, begin + kb, end);
    }
    for (var k0 = begin; k0 < end; k0 += BK) {
        tile_a[ka * STRIDE_A + ma] = vec4<Element>(next_a * factor_a);
        if (fetches_b) {
            tile_b[kb * STRIDE_B + nb] = vec4<Element>(next_b * factor_b);
        }
        workgroupBarrier();
        next_a = fetch_a(r0, r1, r2, r3, k0 + BK + ka, end);
        if (fetches_b) {
            next_b = fetch_b(columns, k0 + BK + kb, end);
        }
        for (var k = 0u; k < BK; k++) {
            let x = vec4<f32>(tile_a[k * STRIDE_A + my_row]);
            let y0 = vec4<f32>(tile_b[k * STRIDE_B + my_column]);
            s00 += x.x * y0;
            s10 += x.y * y0;
            s20 += x.z * y0;
            s30 += x.w * y0;
            if (V > 1u) {
                let y1 = vec4<f32>(tile_b[k * STRIDE_B + PN + my_column]);
                s01 += x.x * y1;
                s11 += x.y * y1;
                s21 += x.z * y1;
                s31 += x.w * y1;
            }
            if (V > 2u) {
                let y2 = vec4<f32>(tile_b[k * STRIDE_B + 2u * PN + my_column]);
                s02 += x.x * y2;
                s12 += x.y * y2;
                s22 += x.z * y2;
                s32 += x.w * y2;
            }
            if (V > 3u) {
                let y3 = vec4<f32>(tile_b[k * STRIDE_B + 3u * PN + my_column]);
                s03 += x.x * y3;
                s13 += x.y * y3;
                s23 += x.z * y3;
                s33 += x.w * y3;
            }
        }
        workgroupBarrier();
    }

    for (var v = 0u; v < V; v++) {
        let n = n0 + v * 4u * PN + my_column * 4u;
        for (var r = 0u; r < 4u; r++) {
            let m = m0 + my_row * 4u + r;
            if (m < dims.m) {
                var sum = select(select(s00, s10, r == 1u), select(s20, s30, r == 3u), r > 1u);
                if (v == 1u) {
                    sum = select(select(s01, s11, r == 1u), select(s21, s31, r == 3u), r > 1u);
                }
                if (v == 2u) {
                    sum = select(select(s02, s12, r == 1u), select(s22, s32, r == 3u), r > 1u);
                }
                if (v == 3u) {
                    sum = select(select(s03, s13, r == 1u), select(s23, s33, r == 3u), r > 1u);
                }
                store((layer * dims.rows + row_c(m)) * N + n, n, sum);
            }
        }
    }
}
