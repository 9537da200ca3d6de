use super::*;

/// What a reader that shares nothing with ours sees.
fn scan(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
    const SCALE: usize = 4;
    let pixel = |x: usize, y: usize| if is_dark(x / SCALE, y / SCALE) { 0 } else { 255 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(side * SCALE, side * SCALE, pixel);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1);
    grids[0].decode().unwrap().1
}

fn texts() -> Vec<String> {
    let uri = "otpauth://totp/Big%20Corp:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Big%20Corp";
    // One whose height is odd, as every QR code's is, and one that needs level L.
    vec![
        "x".to_owned(),
        uri.to_owned(),
        "otpauth-migration://offline?data=".to_owned() + &"aB3%2F".repeat(410),
    ]
}

#[test]
fn an_svg_scans_to_its_text() {
    for text in texts() {
        let image = svg(&text).unwrap();
        let (_, rest) = image.split_once("viewBox=\"0 0 ").unwrap();
        let side: usize = rest.split(' ').next().unwrap().parse().unwrap();
        let (_, path) = rest.rsplit_once(" d=\"").unwrap();
        let mut dark = vec![false; side * side];
        for run in path.split('M').skip(1) {
            let (place, rest) = run.split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            let (length, rest) = rest.split_once('v').unwrap();
            assert!(rest.starts_with(&format!("1h-{length}z")), "{run}");
            dark[y * side + x..][..length.parse().unwrap()].fill(true);
        }
        assert_eq!(scan(side, |x, y| dark[y * side + x]), text);
    }
}

#[test]
fn a_png_scans_to_its_text() {
    for text in texts() {
        let image = png(&text).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&image[..])).read_info().unwrap();
        let mut bits = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bits).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::One));
        let side = usize::try_from(info.width).unwrap();
        assert_eq!(info.width, info.height);
        let is_dark = |x: usize, y: usize| bits[y * info.line_size + x / 8] >> (7 - x % 8) & 1 == 0;
        assert_eq!(scan(side, is_dark), text);
    }
}

#[test]
fn a_terminals_blocks_scan_to_their_text() {
    for text in texts() {
        let blocks = terminal(&text).unwrap();
        assert!(blocks.ends_with('\n'));
        let lines: Vec<Vec<char>> = blocks.lines().map(|line| line.chars().collect()).collect();
        let side = lines[0].len();
        assert!(lines.iter().all(|line| line.len() == side) && lines.len() == side.div_ceil(2));
        let is_light = |x: usize, y: usize| match lines[y / 2][x] {
            '█' => true,
            '▀' => y.is_multiple_of(2),
            '▄' => !y.is_multiple_of(2),
            ' ' => false,
            other => panic!("{other:?}"),
        };
        assert_eq!(scan(side, |x, y| !is_light(x, y)), text);
    }
}

#[test]
fn a_margin_of_four_modules_is_light() {
    let modules = Modules::draw("otpauth://").unwrap();
    let (side, width) = (modules.side(), modules.width);
    assert_eq!(side, width + 8);
    for at in 0..side {
        for edge in [0, 3, side - 4, side - 1] {
            assert!(!modules.is_dark(at, edge) && !modules.is_dark(edge, at));
        }
    }
    assert!(modules.is_dark(4, 4) && modules.is_dark(side - 5, 4) && modules.is_dark(4, side - 5));
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(svg(&"x".repeat(2_953)).is_ok());
    let got = 2_954;
    let text = "x".repeat(got);
    assert_eq!(svg(&text).unwrap_err(), QrError::TooLong { got });
    assert_eq!(png(&text).unwrap_err(), QrError::TooLong { got });
    assert_eq!(terminal(&text).unwrap_err(), QrError::TooLong { got });
}

/// Where a buffer grows, what it held before stays behind in freed memory.
#[test]
fn no_buffer_grows() {
    for text in texts() {
        let side = Modules::draw(&text).unwrap().side();
        let runs = Modules::draw(&text).unwrap().dark_runs().len();
        assert_eq!(svg(&text).unwrap().capacity(), runs * 32 + 256);
        assert_eq!(terminal(&text).unwrap().capacity(), (side * 3 + 1) * side.div_ceil(2));
        let bits = side * side * PIXELS;
        assert_eq!(png(&text).unwrap().capacity(), bits + bits / 8 + 1024);
    }
}
