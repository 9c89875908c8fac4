//! The instruction set chosen at run time.

/// Instructions of this machine. Results are the same bits within one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing beyond the target's baseline.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, VL, DQ and BW.
    Avx512,
    /// AVX-512 and AMX tiles of bf16, on Linux where the kernel grants them; only products know the difference.
    Amx,
}

impl Level {
    /// The best level of this machine, found once.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            static FOUND: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
            *FOUND.get_or_init(x86::detect)
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::Portable
    }

    /// Every level that this machine can run, for tests.
    pub fn available() -> Vec<Self> {
        let all = [Self::Portable, Self::Avx2, Self::Avx512, Self::Amx];
        all.into_iter().filter(|l| *l <= Self::detect()).collect()
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Level;
    use std::arch::is_x86_feature_detected;

    pub(super) fn detect() -> Level {
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw");
        let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        match (fma, wide) {
            (true, true) if has_tiles() && tiles_are_granted() => Level::Amx,
            (true, true) => Level::Avx512,
            (true, false) => Level::Avx2,
            (false, _) => Level::Portable,
        }
    }

    /// CPUID names AMX tiles and their bf16 products, and the system saves them (XCR0 bits 17 and 18).
    fn has_tiles() -> bool {
        use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
        const TILES: u32 = 1 << 24;
        const BF16: u32 = 1 << 22;
        const SAVED: u64 = 0b11 << 17;
        #[target_feature(enable = "xsave")]
        fn saved() -> u64 {
            // SAFETY: the caller has found AVX-512, whose detection requires that the system enabled XSAVE.
            unsafe { _xgetbv(0) }
        }
        if __cpuid(0).eax < 7 {
            return false;
        }
        let features = __cpuid_count(7, 0).edx;
        // SAFETY: AVX-512 was detected, which implies XSAVE.
        features & TILES != 0 && features & BF16 != 0 && unsafe { saved() } & SAVED == SAVED
    }

    /// Asks Linux for the tiles' state, which no process has by default.
    fn tiles_are_granted() -> bool {
        #[cfg(target_os = "linux")]
        {
            const ARCH_PRCTL: usize = 158;
            const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
            const XFEATURE_XTILEDATA: usize = 18;
            let mut result = ARCH_PRCTL;
            // SAFETY: this call sets a permission of the process and touches none of its memory.
            unsafe {
                std::arch::asm!(
                    "syscall",
                    inout("rax") result,
                    in("rdi") ARCH_REQ_XCOMP_PERM,
                    in("rsi") XFEATURE_XTILEDATA,
                    out("rcx") _,
                    out("r11") _,
                    options(nostack)
                );
            }
            result == 0
        }
        #[cfg(not(target_os = "linux"))]
        false
    }
}
