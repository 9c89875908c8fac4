// C[l, m, n] = Σ_k a(l, m, k) b(l, k, n) by cooperative matrices of 16 × 16, f16 in and f32 out: product.wgsl on tensor
// cores, with the same functions of the op's own file.
//
// A workgroup of SUBGROUPS subgroups, two of them side by side, computes a tile of BM × BN numbers; each subgroup holds
// 2 × J matrices of the sum. 16 terms of a and b at a time pass through workgroup memory as [m][k] and [k][n], and the
// sums, a matrix a subgroup at a time, on their way to C. Terms are added in the order of k, within 16 as the device
// does it.
//
// Constants: N; SUBGROUPS and SIZE with SUBGROUPS SIZE = 256; J, 1 … 4; A_ALONG_K, B_ALONG_K, SPLIT as in product.wgsl.

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

const BM: u32 = 16u * SUBGROUPS;
const BN: u32 = 32u * J;
const BK: u32 = 16u;
// Padded by 8, so that rows begin in different banks.
const STRIDE_A: u32 = BK + 8u;
const STRIDE_B: u32 = BN + 8u;
const LOADS_A: u32 = BM * BK / 256u;
const LOADS_B: u32 = BN * BK / 256u;

const_assert SUBGROUPS * SIZE == 256u;
const_assert SUBGROUPS % 2u == 0u;
const_assert J >= 1u && J <= 4u;

var<workgroup> tile_a: array<f16, BM * STRIDE_A>; // [BM, BK]
var<workgroup> tile_b: array<f16, BK * STRIDE_B>; // [BK, BN]
var<workgroup> stage: array<f32, SUBGROUPS * 256u>; // [SUBGROUPS, 16, 16]

// Writes one matrix a subgroup, whose first number is (m0, n0).
fn write_out(layer: u32, m0: u32, n0: u32, subgroup: u32, member: u32) {
    workgroupBarrier();
    for (var e = member; e < 256u; e += SIZE) {
        let m = m0 + e / 16u;
        let n = n0 + e % 16u;
        if (layer < dims.layers && m < dims.m && n < N) {
            let at = (layer * dims.rows + row_c(m)) * N + n;
            let value = unscale(vec4<f32>(stage[subgroup * 256u + e])).x;
            if (dims.adds == 1u) {
                c[at] += value;
            } else {
                c[at] = value;
            }
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) member: u32,
) {
    let at = position(group, groups);
    let across = (N + BN - 1u) / BN;
    let down = (dims.m + BM - 1u) / BM;
    let layer = at / (across * down);
    // A group too many has no terms and writes nothing; it does not return, so that control flow is the same for all.
    let m0 = at / across % down * BM;
    let n0 = at % across * BN;
    prepare(lane);
    let factor_a = scale_a();
    let factor_b = scale_b();

    var rows: array<vec4<u32>, LOADS_A>;
    for (var i = 0u; i < LOADS_A; i++) {
        let e = i * 256u + lane;
        rows[i] = row_a(layer, min(m0 + select(e % BM, e / BK, A_ALONG_K), dims.m - 1u));
    }
    var columns: array<u32, LOADS_B>;
    for (var i = 0u; i < LOADS_B; i++) {
        let e = i * 256u + lane;
        columns[i] = column_b(layer, min(n0 + select(e % BN, e / BK, B_ALONG_K), N - 1u));
    }

    // Rows and columns of this subgroup in the tile.
    let my_row = subgroup / 2u * 32u;
    let my_column = subgroup % 2u * 16u * J;
    var s00 = coop_mat16x16<f32, C>();
    var s01 = coop_mat16x16<f32, C>();
    var s02 = coop_mat16x16<f32, C>();
    var s03 = coop_mat16x16<f32, C>();
    var s10 = coop_mat16x16<f32, C>();
    var s11 = coop_mat16x16<f32, C>();
    var s12 = coop_mat16x16<f32, C>();
    var s13 = coop_mat16x16<f32, C>();

    let begin = select(0u, layer * dims.chunk, SPLIT);
    let end = select(begin, min(dims.k, begin + dims.chunk), layer < dims.layers);
    for (var k0 = begin; k0 < end; k0 += BK) {
        for (var i = 0u; i < LOADS_A; i++) {
            let e = i * 256u + lane;
            let m = select(e % BM, e / BK, A_ALONG_K);
            let k = select(e / BM, e % BK, A_ALONG_K);
            var value = 0.0;
            if (k0 + k < end && m0 + m < dims.m) {
                value = load_a(rows[i], term_a(k0 + k));
            }
            tile_a[m * STRIDE_A + k] = f16(value * factor_a);
        }
        for (var i = 0u; i < LOADS_B; i++) {
            let e = i * 256u + lane;
            let n = select(e % BN, e / BK, B_ALONG_K);
            let k = select(e / BN, e % BK, B_ALONG_K);
            var value = 0.0;
            if (k0 + k < end && n0 + n < N) {
                value = load_b(term_b(k0 + k), columns[i]);
            }
            tile_b[k * STRIDE_B + n] = f16(value * factor_b);
        }
        workgroupBarrier();
        let a0 = coopLoadT<coop_mat16x16<f16, A>>(&tile_a[my_row * STRIDE_A], STRIDE_A);
        let a1 = coopLoadT<coop_mat16x16<f16, A>>(&tile_a[(my_row + 16u) * STRIDE_A], STRIDE_A);
        let b0 = coopLoadT<coop_mat16x16<f16, B>>(&tile_b[my_column], STRIDE_B);
        s00 = coopMultiplyAdd(a0, b0, s00);
        s10 = coopMultiplyAdd(a1, b0, s10);
        if (J > 1u) {
            let b1 = coopLoadT<coop_mat16x16<f16, B>>(&tile_b[min(my_column + 16u, BN - 16u)], STRIDE_B);
            s01 = coopMultiplyAdd(a0, b1, s01);
            s11 = coopMultiplyAdd(a1, b1, s11);
        }
        if (J > 2u) {
            let b2 = coopLoadT<coop_mat16x16<f16, B>>(&tile_b[min(my_column + 32u, BN - 16u)], STRIDE_B);
            s02 = coopMultiplyAdd(a0, b2, s02);
            s12 = coopMultiplyAdd(a1, b2, s12);
        }
        if (J > 3u) {
            let b3 = coopLoadT<coop_mat16x16<f16, B>>(&tile_b[min(my_column + 48u, BN - 16u)], STRIDE_B);
            s03 = coopMultiplyAdd(a0, b3, s03);
            s13 = coopMultiplyAdd(a1, b3, s13);
        }
        workgroupBarrier();
    }

    let m = m0 + my_row;
    let n = n0 + my_column;
    let mine = subgroup * 256u;
    coopStoreT(s00, &stage[mine], 16u);
    write_out(layer, m, n, subgroup, member);
    coopStoreT(s10, &stage[mine], 16u);
    write_out(layer, m + 16u, n, subgroup, member);
    if (J > 1u) {
        coopStoreT(s01, &stage[mine], 16u);
        write_out(layer, m, n + 16u, subgroup, member);
        coopStoreT(s11, &stage[mine], 16u);
        write_out(layer, m + 16u, n + 16u, subgroup, member);
    }
    if (J > 2u) {
        coopStoreT(s02, &stage[mine], 16u);
        write_out(layer, m, n + 32u, subgroup, member);
        coopStoreT(s12, &stage[mine], 16u);
        write_out(layer, m + 16u, n + 32u, subgroup, member);
    }
    if (J > 3u) {
        coopStoreT(s03, &stage[mine], 16u);
        write_out(layer, m, n + 48u, subgroup, member);
        coopStoreT(s13, &stage[mine], 16u);
        write_out(layer, m + 16u, n + 48u, subgroup, member);
    }
}
